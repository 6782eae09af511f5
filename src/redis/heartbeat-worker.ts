/**
 * The thread that sends the beats (`BeatThread` starts it), with a connection of its own: a handler that blocks the main loop
 * does not block this one. It watches that the main loop turns, and sends nothing while that has stood still for too long:
 * what never comes back must not keep its entities for ever.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { ControlAnswerOf, Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import { type Ending, endingOf } from '../ports/heartbeats.js';
import { StoreCallError } from '../ports/store.js';
import type { RedisConnectionConfig } from './connection.js';
import { BeatCells } from './heartbeat-cells.js';
import { RedisStore } from './store.js';

export interface BeatWorkerData {
  readonly connection: RedisConnectionConfig;
  readonly keyPrefix: string;
  readonly storeCallTimeoutMs: number;
  readonly everyMs: number;
  readonly loopStallLimitMs: number;
  /** `process.hrtime`, which all threads share, when the node's monotonic clock showed 0. */
  readonly originNs: bigint;
}

/** From the main thread. `run` numbers the incarnations, so that news of a former one can be told apart. */
export type BeatOrder =
  | { readonly kind: 'begin'; readonly run: number; readonly member: Identity; readonly buffer: SharedArrayBuffer }
  | { readonly kind: 'end' };

export type BeatNews =
  | {
      readonly kind: 'answered';
      readonly run: number;
      readonly answer: ControlAnswerOf['beat'];
      readonly heartbeat: number;
      readonly sentMs: number;
      readonly receivedMs: number;
    }
  | { readonly kind: 'ended'; readonly run: number; readonly why: Ending }
  | {
      readonly kind: 'failed';
      readonly run: number;
      readonly why: string;
      readonly refused: boolean;
      readonly permanent: boolean;
    };

/** The node's monotonic time, as this thread reads it. */
class ThreadClock implements Clock {
  constructor(private readonly originNs: bigint) {}

  monotonicMs(): number {
    return Number(process.hrtime.bigint() - this.originNs) / 1e6;
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    // Node may fire a whole millisecond early.
    const handle = setTimeout(fire, delayMs <= 0 ? 0 : Math.ceil(delayMs) + 1);
    return { cancel: () => clearTimeout(handle) };
  }

  defer(run: () => void): void {
    setImmediate(run);
  }
}

interface Run {
  readonly run: number;
  readonly member: Identity;
  readonly cells: BeatCells;
  turnsSeen: bigint;
  turnedMs: number;
}

class Beats {
  readonly #clock: Clock;
  readonly #store: RedisStore;
  #opening: Promise<void> | undefined;
  #run: Run | undefined;
  #timer: Timer | undefined;

  constructor(
    private readonly data: BeatWorkerData,
    private readonly tell: (news: BeatNews) => void,
  ) {
    const { connection, keyPrefix, storeCallTimeoutMs, originNs } = data;
    this.#clock = new ThreadClock(originNs);
    this.#store = new RedisStore({ connection, keyPrefix, storeCallTimeoutMs, clock: this.#clock });
    // Ahead of the first beat, which opens again if this fails.
    this.#opened().catch(() => undefined);
  }

  obey(order: BeatOrder): void {
    this.#timer?.cancel();
    this.#run = undefined;
    if (order.kind === 'end') return;
    const { run, member, buffer } = order;
    const cells = new BeatCells(buffer);
    this.#run = { run, member, cells, turnsSeen: cells.turns, turnedMs: this.#clock.monotonicMs() };
    void this.#beat(this.#run);
  }

  async #beat(run: Run): Promise<void> {
    try {
      await this.#opened();
      if (this.#run === run && this.#mainLoopTurns(run)) await this.#send(run);
    } catch (error) {
      const { message, refused, permanent } = error instanceof StoreCallError ? error : new StoreCallError(String(error), false);
      if (this.#run === run) this.tell({ kind: 'failed', run: run.run, why: message, refused, permanent });
    }
    if (this.#run === run) this.#timer = this.#clock.setTimer(this.data.everyMs, () => void this.#beat(run));
  }

  async #send(run: Run): Promise<void> {
    const sentMs = this.#clock.monotonicMs();
    const { member, cells } = run;
    const beat = cells.nextBeat();
    const answer = await this.#store.control({ op: 'beat', ...member, beat, acknowledged: cells.acknowledged });
    if (this.#run !== run) return;
    const why = endingOf(answer);
    if (why !== undefined) {
      this.#run = undefined;
      this.tell({ kind: 'ended', run: run.run, why });
      return;
    }
    if (answer.ok) cells.prove(beat, sentMs);
    this.tell({ kind: 'answered', run: run.run, answer, heartbeat: beat, sentMs, receivedMs: this.#clock.monotonicMs() });
  }

  #mainLoopTurns(run: Run): boolean {
    const nowMs = this.#clock.monotonicMs();
    const { turns } = run.cells;
    if (turns !== run.turnsSeen) {
      run.turnsSeen = turns;
      run.turnedMs = nowMs;
    }
    return nowMs - run.turnedMs < this.data.loopStallLimitMs;
  }

  /** Once it has been open the store connects again by itself. */
  #opened(): Promise<void> {
    if (this.#opening === undefined) {
      const opening = this.#store.open();
      this.#opening = opening;
      opening.catch(() => {
        this.#opening = undefined;
      });
    }
    return this.#opening;
  }
}

if (parentPort === null) throw new Error('heartbeat-worker is a thread of BeatThread, not a program');
const port = parentPort;
const beats = new Beats(workerData as BeatWorkerData, (news) => port.postMessage(news));
port.on('message', (order: BeatOrder) => beats.obey(order));
