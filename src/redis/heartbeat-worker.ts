/**
 * The thread that sends the heartbeats, started by `HeartbeatThread`. It has its own connection, so a handler that blocks the
 * main loop does not block it. It watches the main loop and sends nothing once that has not turned for `loopStallLimitMs`:
 * a node that is stuck forever must not keep its entities.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { ControlAnswerOf, Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import { type Ending, endingOf } from '../ports/heartbeats.js';
import { StoreCallError } from '../ports/store.js';
import type { RedisConnectionConfig } from './connection.js';
import { HeartbeatCells } from './heartbeat-cells.js';
import { RedisStore } from './store.js';

export interface HeartbeatWorkerData {
  readonly connection: RedisConnectionConfig;
  readonly keyPrefix: string;
  readonly storeCallTimeoutMs: number;
  readonly everyMs: number;
  readonly loopStallLimitMs: number;
  /** Value of `process.hrtime`, which all threads share, at time 0 of the node's monotonic clock, ns. */
  readonly originNs: bigint;
}

/** Sent by the main thread. `run` numbers the incarnations, so that news about a former one can be ignored. */
export type HeartbeatOrder =
  | { readonly kind: 'begin'; readonly run: number; readonly member: Identity; readonly buffer: SharedArrayBuffer }
  | { readonly kind: 'end' };

export type HeartbeatNews =
  | {
      readonly kind: 'answered';
      readonly run: number;
      readonly answer: ControlAnswerOf['heartbeat'];
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

/** The node's monotonic clock, read from this thread. */
class ThreadClock implements Clock {
  constructor(private readonly originNs: bigint) {}

  monotonicMs(): number {
    return Number(process.hrtime.bigint() - this.originNs) / 1e6;
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    // A Node.js timer may fire up to one millisecond early.
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
  readonly cells: HeartbeatCells;
  turnsSeen: bigint;
  turnedMs: number;
}

class Heartbeats {
  readonly #clock: Clock;
  readonly #store: RedisStore;
  #opening: Promise<void> | undefined;
  #run: Run | undefined;
  #timer: Timer | undefined;

  constructor(
    private readonly data: HeartbeatWorkerData,
    private readonly tell: (news: HeartbeatNews) => void,
  ) {
    const { connection, keyPrefix, storeCallTimeoutMs, originNs } = data;
    this.#clock = new ThreadClock(originNs);
    this.#store = new RedisStore({ connection, keyPrefix, storeCallTimeoutMs, clock: this.#clock });
    // Connects before the first heartbeat, which tries again if this fails.
    this.#opened().catch(() => undefined);
  }

  obey(order: HeartbeatOrder): void {
    this.#timer?.cancel();
    this.#run = undefined;
    if (order.kind === 'end') return;
    const { run, member, buffer } = order;
    const cells = new HeartbeatCells(buffer);
    this.#run = { run, member, cells, turnsSeen: cells.turns, turnedMs: this.#clock.monotonicMs() };
    void this.#heartbeat(this.#run);
  }

  async #heartbeat(run: Run): Promise<void> {
    try {
      await this.#opened();
      if (this.#run === run && this.#mainLoopTurns(run)) await this.#send(run);
    } catch (error) {
      const { message, refused, permanent } = error instanceof StoreCallError ? error : new StoreCallError(String(error), false);
      if (this.#run === run) this.tell({ kind: 'failed', run: run.run, why: message, refused, permanent });
    }
    if (this.#run === run) this.#timer = this.#clock.setTimer(this.data.everyMs, () => void this.#heartbeat(run));
  }

  async #send(run: Run): Promise<void> {
    const sentMs = this.#clock.monotonicMs();
    const { member, cells } = run;
    const heartbeat = cells.nextHeartbeat();
    const answer = await this.#store.control({ op: 'heartbeat', ...member, heartbeat, acknowledged: cells.acknowledged });
    if (this.#run !== run) return;
    const why = endingOf(answer);
    if (why !== undefined) {
      this.#run = undefined;
      this.tell({ kind: 'ended', run: run.run, why });
      return;
    }
    if (answer.ok) cells.prove(heartbeat, sentMs);
    this.tell({ kind: 'answered', run: run.run, answer, heartbeat, sentMs, receivedMs: this.#clock.monotonicMs() });
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

  /** Opens the store once. After that the store reconnects without help. */
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

if (parentPort === null) throw new Error('heartbeat-worker is a thread of HeartbeatThread, not a program');
const port = parentPort;
const heartbeats = new Heartbeats(workerData as HeartbeatWorkerData, (news) => port.postMessage(news));
port.on('message', (order: HeartbeatOrder) => heartbeats.obey(order));
