/** Holds the streams that other nodes opened until each is welcomed or refused. */
import type { Clock, Timer } from '../ports/clock.js';
import { type Hello, RefusedReason } from './cluster.gen.js';
import { decodeFrame, encodeFrame } from './frames.js';
import { judge, type Refusal, type Standpoint } from './handshake.js';
import type { Refusals } from './refusals.js';
import type { Stream } from './streams.js';

export interface ReceptionParts {
  readonly clock: Clock;
  /** How long a sender that is in no membership snapshot yet may wait, ms. */
  readonly newcomerMs: number;
  readonly frameBytesMax: number;
  readonly refusals: Refusals;
  standpoint(): Standpoint;
  welcome(incarnation: number, stream: Stream, frameBytesMax: number): void;
}

interface Visitor {
  readonly stream: Stream;
  hello: Hello | undefined;
  readonly timer: Timer;
}

const VISITORS_MAX = 256;
const HELLO_WITHIN_MS = 2000;
/** How long a refused peer may take to read the refusal, ms. */
const LEAVE_WITHIN_MS = 1000;
const NO_HELLO: Refusal = { why: 'garbage', reason: RefusedReason.NO_HELLO };
const FULL: Refusal = { why: 'unavailable', reason: RefusedReason.UNAVAILABLE };
const UNKNOWN: Refusal = { why: 'sender', reason: RefusedReason.SENDER };

export class Reception {
  readonly #parts: ReceptionParts;
  readonly #visitors = new Set<Visitor>();
  #isClosed = false;

  constructor(parts: ReceptionParts) {
    this.#parts = parts;
  }

  take(stream: Stream): void {
    const { clock, newcomerMs } = this.#parts;
    const patienceMs = Math.max(HELLO_WITHIN_MS, newcomerMs);
    const timer = clock.setTimer(patienceMs, () => this.#refuse(visitor, visitor.hello === undefined ? NO_HELLO : UNKNOWN));
    const visitor: Visitor = { stream, hello: undefined, timer };
    this.#visitors.add(visitor);
    stream.handlers = {
      closed: () => this.#forget(visitor),
      data: (bytes) => {
        const frame = visitor.hello === undefined ? decodeFrame(bytes) : undefined;
        if (frame?.case !== 'hello') {
          this.#refuse(visitor, NO_HELLO);
          return;
        }
        visitor.hello = frame.value;
        this.#receive(visitor, frame.value);
      },
    };
    if (this.#isClosed || this.#visitors.size > VISITORS_MAX) this.#refuse(visitor, FULL);
  }

  /** Decides again for waiting senders, after a new membership snapshot. */
  readAgain(): void {
    for (const visitor of [...this.#visitors]) if (visitor.hello !== undefined) this.#receive(visitor, visitor.hello);
  }

  close(): void {
    this.#isClosed = true;
    for (const visitor of [...this.#visitors]) this.#refuse(visitor, FULL);
  }

  #receive(visitor: Visitor, hello: Hello): void {
    const verdict = judge(hello, this.#parts.standpoint());
    if (verdict === 'later') return;
    if (verdict === 'welcome') this.#welcome(visitor, hello);
    else this.#refuse(visitor, verdict);
  }

  #welcome(visitor: Visitor, hello: Hello): void {
    this.#forget(visitor);
    const { frameBytesMax } = this.#parts;
    visitor.stream.write(encodeFrame({ case: 'welcome', value: { frameBytesMax } }), () => undefined);
    this.#parts.welcome(hello.sender?.incarnation ?? 0, visitor.stream, hello.frameBytesMax);
  }

  #refuse(visitor: Visitor, { why, reason }: Refusal): void {
    if (!this.#forget(visitor)) return;
    const { stream, hello } = visitor;
    const { clock, refusals } = this.#parts;
    if (!this.#isClosed) refusals.note(why, `the link of ${nameOf(hello)} from ${stream.remote}: ${TEXTS[why]}`);
    const timer = clock.setTimer(LEAVE_WITHIN_MS, () => stream.destroy());
    stream.handlers = { data: () => undefined, closed: () => timer.cancel() };
    stream.write(encodeFrame({ case: 'refused', value: { reason } }), () => undefined);
    stream.end();
  }

  #forget(visitor: Visitor): boolean {
    visitor.timer.cancel();
    return this.#visitors.delete(visitor);
  }
}

const TEXTS: Readonly<Record<Refusal['why'], string>> = {
  token: 'its token is wrong',
  garbage: 'it does not say who it is',
  protocol: 'it speaks another version of the protocol',
  keyPrefix: 'it has another keyPrefix',
  generation: 'it works with another store',
  target: 'it looks for another node at this address',
  sender: 'it is no live member',
  unavailable: 'this node takes no links now',
};

/** Returns the name that a stranger gives itself, cut to 64 characters and escaped, so that it cannot forge a log line. */
const nameOf = (hello: Hello | undefined): string =>
  hello?.sender === undefined ? 'somebody' : JSON.stringify(hello.sender.serverId.slice(0, 64));
