/**
 * The store: the protocol's own state machine behind a network that may do its worst. Every call is three events: the
 * request leaves (of the caller's life), the store applies it (of nobody's: it happens whether or not the caller lives),
 * and the reply arrives (of the caller's life). So a crash can fall between any two of them.
 */
import type { ControlAnswer, ControlAnswerOf, ControlOp } from '../src/core/log/control-operations.js';
import { type Batch, type BatchReply, growsLog, type SessionOp } from '../src/core/log/operations.js';
import { PartitionState } from '../src/core/log/state.js';
import { type Store, StoreCallError } from '../src/ports/store.js';
import { type Applied, AppliedLog } from './applied-log.js';
import type { Machine } from './machine.js';
import type { Observer } from './observer.js';
import type { Stream } from './sim-random.js';
import type { Weather } from './weather.js';
import { type Life, never, SimEvent, type World } from './world.js';

const START_MS = 1_700_000_000_000;
const LATENCY_MS = { low: 0.15, high: 1.2 };
const LEAVE_MS_MAX = 0.05;
const WRITES = new Set<ControlOp['op']>(['join', 'beat', 'leave', 'bury', 'lead', 'replay', 'purge', 'shut']);

const STORE_HITS = {
  requestLost: 0,
  replyLost: 0,
  lateCopy: 0,
  storeReorder: 0,
  refused: 0,
  unreachable: 0,
  crashAfterApply: 0,
  crashBeforeApply: 0,
  pauseAfterApply: 0,
};

/** What befalls a process in the middle of a store call. */
export interface Processes {
  crash(life: Life): void;
  pause(life: Life): void;
}

export class StoreServer {
  state = new PartitionState();
  /** Changes when the server process is another one: what INFO calls run_id. */
  runId = 1;
  jumpMs = 0;
  readonly hits = { ...STORE_HITS };
  /** Everything applied, in order, if a tail of it may be lost later. */
  private readonly applied: AppliedLog | undefined;
  /** Hosts that knew, when writes were lost, that the store had acknowledged them; undefined: all that had joined. */
  rememberedBy: readonly string[] | undefined;

  constructor(
    readonly world: World,
    readonly weather: Weather,
    private readonly observer: Observer,
    private readonly machine: Machine,
    keepsLog: boolean,
    private readonly processes: Processes,
  ) {
    this.applied = keepsLog ? new AppliedLog() : undefined;
  }

  crash(life: Life): void {
    this.processes.crash(life);
  }

  pause(life: Life): void {
    this.processes.pause(life);
  }

  nowMs(): number {
    return Math.floor(START_MS + this.world.nowMs + this.jumpMs);
  }

  /** `told`: gets the step that an answer acknowledges, in runs in which it may be lost later. */
  applyBatch(host: string, batch: Batch, life?: Life, told?: (step: Applied | undefined) => void): BatchReply {
    const atMs = this.nowMs();
    const last = this.state.sessions.get(batch.incarnation)?.last;
    const reply = this.machine.applyBatch(this.state, batch, atMs);
    const isNew = this.state.sessions.get(batch.incarnation)?.last !== last;
    const step = this.applied?.batch(batch, reply, isNew, atMs, life);
    told?.(step);
    if (reply.status === 'applied' && batch.ops.some(({ op }) => op === 'expire')) this.weather.full = false;
    this.observer.batch(this.state, host, batch, reply);
    return reply;
  }

  applyControl(host: string, op: ControlOp, life?: Life, told?: (step: Applied | undefined) => void): ControlAnswer {
    const atMs = this.nowMs();
    const answer = this.machine.applyControl(this.state, op, atMs);
    const step = WRITES.has(op.op) ? this.applied?.control(op, answer, atMs, life) : undefined;
    told?.(step);
    this.observer.control(this.state, host, op, answer, atMs);
    return answer;
  }

  /** Why the write is refused now; undefined if it is not. */
  refusal(batch: Batch | undefined, op: ControlOp | undefined): string | undefined {
    const { refusing, full } = this.weather;
    if (refusing === 'none' && !full) return undefined;
    if (refusing === 'readonly') {
      const writes = batch !== undefined || (op !== undefined && WRITES.has(op.op));
      return writes ? "READONLY You can't write against a read only replica." : undefined;
    }
    const grows = batch?.ops.some(growsLog) === true;
    return grows ? "OOM command not allowed when used memory > 'maxmemory'." : undefined;
  }

  /** The server comes back without any data. */
  restartEmpty(): void {
    this.restart(0);
  }

  /** The server comes back without the last `lost` applied steps. Answers how many it lost. */
  restartWithout(lost: number): number {
    if (this.applied === undefined) throw new Error('the store of this run keeps no log to lose');
    const kept = Math.max(0, this.applied.length - lost);
    const gone = this.applied.length - kept;
    this.restart(kept);
    return gone;
  }

  private restart(kept: number): void {
    this.runId++;
    this.forgetTail(kept);
  }

  /** The server comes back from before the joins of the `count` newest live members. Returns false if it was empty then. */
  restartBeforeJoins(count: number): boolean {
    const live = [...this.state.members.values()].filter((m) => !m.dead).map((m) => m.token);
    const tokens = new Set(live.slice(-count));
    const at = this.applied?.indexOf(({ op }) => op?.op === 'join' && tokens.has(op.token)) ?? -1;
    if (at <= 0) return false;
    this.restart(at);
    return true;
  }

  /** As after a failover that nobody announces: the same name, an older state. */
  forgetTail(kept: number): void {
    this.rememberedBy = this.applied?.rememberedBy(kept);
    this.state = new PartitionState();
    for (const step of this.applied?.cut(kept) ?? []) {
      if (step.batch !== undefined) this.machine.applyBatch(this.state, step.batch, step.atMs);
      else if (step.op !== undefined) this.machine.applyControl(this.state, step.op, step.atMs);
    }
    this.observer.restarted(this.state);
  }

  get steps(): number {
    return this.applied?.length ?? 0;
  }
}

/** What travels is a copy: the sender may change its own later. */
const copyOf = (batch: Batch): Batch => ({
  ...batch,
  ops: batch.ops.map((op): SessionOp => (op.op === 'append' || op.op === 'begin' || op.op === 'finish' ? { ...op } : op)),
});

type Settle = (value: BatchReply | ControlAnswer) => void;

/** One call, on its way there and back. */
class StoreCall extends SimEvent {
  private stage: 'leaving' | 'back' = 'leaving';
  private sentMs = 0;
  private runId = 0;
  private reply: BatchReply | ControlAnswer | undefined;
  private applied: Applied | undefined;
  private failure: StoreCallError | undefined;

  constructor(
    readonly store: SimStore,
    readonly batch: Batch | undefined,
    readonly op: ControlOp | undefined,
    private readonly resolve: Settle,
    private readonly reject: (error: StoreCallError) => void,
  ) {
    super(store.life);
  }

  fire(): void {
    if (this.stage === 'leaving') this.leave();
    else if (this.failure !== undefined) this.reject(this.failure);
    else {
      if (this.applied !== undefined) this.applied.acknowledged = true;
      this.resolve(this.reply as BatchReply | ControlAnswer);
    }
  }

  private leave(): void {
    const { store } = this;
    const { server, chance, life } = store;
    const { world, weather, hits } = server;
    this.sentMs = world.nowMs;
    this.stage = 'back';
    if (!store.connect()) {
      this.fail(chance.between(0, 2), 'the connection is being made anew; nothing was sent', true);
      return;
    }
    this.runId = server.runId;
    if (!weather.reachesStore(life.host)) {
      hits.unreachable++;
      // A broken connection says so at once; a silent network only by the deadline, after the bytes have left.
      if (chance.chance(0.3)) this.fail(chance.between(0, 20), 'connection refused; nothing was sent', true);
      else this.lose();
      return;
    }
    if (weather.hit('lateCopy', life.host, chance)) {
      // The socket stalls: the caller gives this try up, and the bytes arrive some time. An answered call has no other copy.
      this.lose();
      world.push(new LateCopy(this), chance.logBetween(5, 8000));
      return;
    }
    if (weather.hit('requestLost', life.host, chance)) {
      hits.requestLost++;
      this.lose();
      return;
    }
    world.push(new Arrival(this), store.delayMs());
  }

  /** Nothing comes back before the deadline of the call. */
  lose(): void {
    const { server, timeoutMs } = this.store;
    this.fail(this.sentMs + timeoutMs - server.world.nowMs, `no answer within ${timeoutMs} ms`, false);
  }

  private fail(delayMs: number, why: string, refused: boolean): void {
    this.failure = new StoreCallError(why, refused);
    this.store.server.world.push(this, Math.max(0, delayMs));
  }

  /** The request has reached the store. */
  arrived(): void {
    const { store, batch, op } = this;
    const { server, chance, life } = store;
    const { weather, hits, world } = server;
    if (this.runId !== server.runId || !weather.reachesStore(life.host)) {
      hits.unreachable++;
      this.lose();
      return;
    }
    if (life.alive && batch !== undefined && weather.hit('crashBeforeApply', life.host, chance)) {
      hits.crashBeforeApply++;
      server.crash(life);
      return;
    }
    const refusal = server.refusal(batch, op);
    if (refusal !== undefined) {
      hits.refused++;
      this.fail(store.delayMs(), refusal, true);
      return;
    }
    const told = (step: Applied | undefined): void => {
      this.applied = step;
    };
    if (batch !== undefined) this.reply = server.applyBatch(life.host, batch, life, told);
    else if (op !== undefined) this.reply = server.applyControl(life.host, op, life, told);
    if (!life.alive) return;
    if (batch !== undefined && weather.hit('crashAfterApply', life.host, chance)) {
      hits.crashAfterApply++;
      server.crash(life);
      return;
    }
    if (batch !== undefined && !life.paused && weather.hit('pauseAfterApply', life.host, chance)) {
      hits.pauseAfterApply++;
      server.pause(life);
    }
    const backMs = store.delayMs();
    const isLost = weather.hit('replyLost', life.host, chance);
    if (isLost) hits.replyLost++;
    if (isLost || world.nowMs + backMs >= this.sentMs + store.timeoutMs) this.lose();
    else world.push(this, backMs);
  }
}

/** A request at the store. */
class Arrival extends SimEvent {
  constructor(private readonly call: StoreCall) {
    super(undefined);
  }

  fire(): void {
    this.call.arrived();
  }
}

/** A copy of a request that a stalled socket delivers at last; nobody waits for its reply. */
class LateCopy extends SimEvent {
  private readonly store: SimStore;
  private readonly batch: Batch | undefined;
  private readonly op: ControlOp | undefined;

  constructor(call: StoreCall) {
    super(undefined);
    this.store = call.store;
    this.batch = call.batch;
    this.op = call.op;
  }

  fire(): void {
    const { store, batch, op } = this;
    const { server, life } = store;
    if (!server.weather.reachesStore(life.host) || server.refusal(batch, op) !== undefined) return;
    server.hits.lateCopy++;
    if (batch !== undefined) server.applyBatch(life.host, batch, life);
    else if (op !== undefined) server.applyControl(life.host, op, life);
  }
}

/** One life's connection to the store. */
export class SimStore implements Store {
  private runIdSeen = 0;
  /** Of the batches that it has carried. */
  private generation = '';
  private lastArrivalMs = 0;
  private replaced: (why: string) => void = () => undefined;

  constructor(
    readonly server: StoreServer,
    readonly life: Life,
    readonly chance: Stream,
    readonly timeoutMs: number,
  ) {}

  apply(batch: Batch): Promise<BatchReply> {
    this.generation = batch.generation;
    return this.call(copyOf(batch), undefined) as Promise<BatchReply>;
  }

  control<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    return this.call(undefined, op) as Promise<ControlAnswerOf[O['op']]>;
  }

  private call(batch: Batch | undefined, op: ControlOp | undefined): Promise<BatchReply | ControlAnswer> {
    if (!this.life.alive) return never();
    return new Promise((resolve, reject) => {
      this.server.world.push(new StoreCall(this, batch, op, resolve, reject), this.chance.next() * LEAVE_MS_MAX);
    });
  }

  /** How long one way takes now. In order on one connection, unless the weather has it otherwise. */
  delayMs(): number {
    const { weather, world, hits } = this.server;
    const delayMs =
      this.chance.between(LATENCY_MS.low, LATENCY_MS.high) +
      (weather.storeDelayMs > 0 ? this.chance.next() * weather.storeDelayMs : 0);
    if (weather.hit('storeReorder', this.life.host, this.chance)) {
      hits.storeReorder++;
      return delayMs + this.chance.between(0, 100);
    }
    this.lastArrivalMs = Math.max(this.lastArrivalMs, world.nowMs + delayMs);
    return this.lastArrivalMs - world.nowMs;
  }

  /**
   * False if the server is another one than before: this call is not sent. As the adapter for Redis does, it takes a server of the same
   * generation for one that was restarted, and reports any other one.
   */
  connect(): boolean {
    const { server } = this;
    if (this.runIdSeen === server.runId) return true;
    const isFirst = this.runIdSeen === 0;
    if (!isFirst && !server.weather.reachesStore(this.life.host)) return true;
    this.runIdSeen = server.runId;
    if (isFirst) return true;
    if (this.generation !== '' && server.state.generation !== this.generation)
      server.world.after(0, this.life, () => this.replaced('its run id and its generation changed'));
    return false;
  }

  onReplaced(listener: (why: string) => void): void {
    this.replaced = listener;
  }

  open(): Promise<void> {
    if (!this.life.alive) return never();
    const { server, life } = this;
    return new Promise((resolve, reject) => {
      const opened = (): void => {
        if (server.weather.reachesStore(life.host)) {
          this.connect();
          resolve();
        } else reject(new StoreCallError('connection refused', true));
      };
      server.world.after(this.chance.between(1, 10), life, opened);
    });
  }

  close(): Promise<void> {
    this.replaced = () => undefined;
    return Promise.resolve();
  }
}
