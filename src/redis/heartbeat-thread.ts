import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Identity } from '../core/log/control-operations.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { HeartbeatListener, HeartbeatSender } from '../ports/heartbeats.js';
import { StoreCallError } from '../ports/store.js';
import type { RedisConnectionConfig } from './connection.js';
import { HeartbeatCells } from './heartbeat-cells.js';
import type { HeartbeatNews, HeartbeatOrder, HeartbeatWorkerData } from './heartbeat-worker.js';

export interface HeartbeatThreadOptions {
  readonly connection: RedisConnectionConfig;
  readonly keyPrefix: string;
  /** Deadline of one heartbeat, ms. */
  readonly storeCallTimeoutMs: number;
  /** Pause between two heartbeats, ms. */
  readonly everyMs: number;
  /** No heartbeat is sent while the main event loop has not turned for this long, ms. */
  readonly loopStallLimitMs: number;
  readonly clock: Clock;
  /** The compiled heartbeat-worker; default: the file beside this one. */
  readonly workerUrl?: URL;
}

interface Run {
  readonly order: Extract<HeartbeatOrder, { kind: 'begin' }>;
  readonly cells: HeartbeatCells;
  readonly listener: HeartbeatListener;
}

const RESTART_MS = { first: 50, max: 2000 };
/** Turns of the main loop counted per stall limit, so that one late turn is not taken for a stall. */
const TURNS_PER_LIMIT = 4;

/**
 * Sends heartbeats from a separate thread (heartbeat-worker.ts). The thread does not keep the process alive. A crashed thread is
 * started again. Until its next acknowledged heartbeat the lease runs down, so the node stops without guessing.
 */
export class HeartbeatThread implements HeartbeatSender {
  readonly #options: HeartbeatThreadOptions;
  readonly #workerUrl: URL;
  readonly #data: HeartbeatWorkerData;
  readonly #turnEveryMs: number;
  #worker: Worker | undefined;
  #run: Run | undefined;
  #runs = 0;
  #crashes = 0;
  #closed = false;
  #turnTimer: Timer | undefined;
  #restartTimer: Timer | undefined;

  /**
   * Starts the thread, which connects at once. Throws if no thread can be started: its file is missing (a bundle holds only what
   * is imported), the options cannot be passed to a thread (such as functions in TLS options), or threads are forbidden.
   */
  constructor(options: HeartbeatThreadOptions) {
    const { connection, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, clock } = options;
    this.#options = options;
    this.#workerUrl = options.workerUrl ?? workerBeside(import.meta.url);
    const path = fileURLToPath(this.#workerUrl);
    if (!existsSync(path)) throw new Error(`there is no ${path}: ${BUNDLED}`);
    this.#turnEveryMs = Math.min(everyMs, loopStallLimitMs / TURNS_PER_LIMIT);
    // In this order, a pause between the two reads makes the thread's clock slow, so the lease ends early rather than late.
    const nowMs = clock.monotonicMs();
    const originNs = process.hrtime.bigint() - BigInt(Math.floor(nowMs * 1e6));
    this.#data = { connection, keyPrefix, storeCallTimeoutMs, everyMs, loopStallLimitMs, originNs };
    this.#start();
  }

  begin(member: Identity, listener: HeartbeatListener): void {
    this.end();
    // A join may succeed after the stop has given up waiting for it.
    if (this.#closed) return;
    // New cells for each incarnation: a heartbeat of the former one that is still in flight proves nothing for this one.
    const cells = new HeartbeatCells();
    const order = { kind: 'begin', run: ++this.#runs, member, buffer: cells.buffer } as const;
    this.#run = { order, cells, listener };
    this.#turn();
    this.#tell(order);
  }

  end(): void {
    if (this.#run === undefined) return;
    this.#run = undefined;
    this.#turnTimer?.cancel();
    this.#tell({ kind: 'end' });
  }

  lastProvedMs(): number {
    return this.#run?.cells.provedMs ?? Number.NEGATIVE_INFINITY;
  }

  async close(): Promise<void> {
    this.end();
    this.#closed = true;
    this.#restartTimer?.cancel();
    await this.#worker?.terminate();
  }

  #tell(order: HeartbeatOrder): void {
    this.#worker?.postMessage(order);
  }

  readonly #turn = (): void => {
    this.#run?.cells.turned();
    this.#turnTimer = this.#options.clock.setTimer(this.#turnEveryMs, this.#turn);
  };

  #start(): void {
    // Without the flags of this process: they are meant for its program (loaders, --input-type), and some forbid threads.
    const worker = new Worker(this.#workerUrl, { workerData: this.#data, name: 'atomic-queues-beats', execArgv: [] });
    this.#worker = worker;
    let why = 'it ended';
    worker.on('message', (news: HeartbeatNews) => this.#hear(news));
    worker.on('error', (error) => {
      why = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', (code) => this.#crashed(`${why} (exit code ${code})`));
    worker.unref();
    if (this.#run !== undefined) worker.postMessage(this.#run.order);
  }

  #crashed(why: string): void {
    this.#worker = undefined;
    if (this.#closed) return;
    const delayMs = Math.min(RESTART_MS.first * 2 ** this.#crashes++, RESTART_MS.max);
    this.#restartTimer = this.#options.clock.setTimer(delayMs, () => this.#restart());
    this.#run?.listener.failed(new StoreCallError(`the thread that sends the beats has crashed: ${why}`, false));
  }

  #restart(): void {
    try {
      this.#start();
    } catch (error) {
      this.#crashed(String(error));
    }
  }

  #hear(news: HeartbeatNews): void {
    const run = this.#run;
    if (run === undefined || news.run !== run.order.run) return;
    switch (news.kind) {
      case 'answered':
        this.#crashes = 0;
        run.listener.answered(news.answer, news.heartbeat, news.sentMs, news.receivedMs);
        return;
      case 'ended':
        this.end();
        run.listener.ended(news.why);
        return;
      case 'failed':
        run.listener.failed(new StoreCallError(news.why, news.refused, news.permanent));
    }
  }
}

const BUNDLED = 'a bundle holds only what is imported, so leave the package atomic-queues out of it, as an external';

/** Returns the URL of the thread's file beside a module. Throws if the module's URL is unknown, as in some bundles. */
export function workerBeside(moduleUrl: string | undefined): URL {
  if (moduleUrl === undefined || !URL.canParse(moduleUrl)) throw new Error(`its file cannot be found: ${BUNDLED}`);
  return new URL('./heartbeat-worker.js', moduleUrl);
}
