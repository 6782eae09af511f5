/**
 * The server side of the simulated store: the protocol's own state machine. With `lua` the scripts of the production adapter run beside
 * it, and what the nodes hear is their answer.
 */
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import { type Batch, type BatchReply, growsLog } from '../src/core/log/operations.js';
import { PartitionState } from '../src/core/log/state.js';
import { type Applied, AppliedLog } from './applied-log.js';
import type { Weather } from './conditions.js';
import type { LuaTwin, Written } from './lua/lockstep.js';
import type { Machine } from './machine.js';
import type { Observer } from './observer.js';
import type { Stream } from './sim-random.js';
import type { Life, World } from './world.js';

const START_MS = 1_700_000_000_000;
const WRITES = new Set<ControlOp['op']>(['join', 'beat', 'leave', 'bury', 'report', 'lead', 'replay', 'purge', 'shut']);

/** As Redis says it of a script that somebody ended before its first write. */
const SCRIPT_KILLED = 'ERR Error running script: Script killed by user with SCRIPT KILL.';
const LOADING = 'LOADING Redis is loading the dataset in memory';
/** Refusals that no command of a script makes. */
export const NOT_RUN: ReadonlySet<string> = new Set([SCRIPT_KILLED, LOADING]);
const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";

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
  tooSlow: 0,
};

/** Faults that strike a process in the middle of a store call. */
export interface Processes {
  crash(life: Life): void;
  pause(life: Life): void;
}

/** What a call asks of the store: a batch, or an operation outside of sessions. */
export interface Request {
  readonly batch?: Batch | undefined;
  readonly op?: ControlOp | undefined;
  /** As the adapter wrote it down, where the scripts run. */
  readonly args?: readonly string[] | undefined;
  /** No caller reads its answer. */
  readonly isLate?: boolean;
}

/** What became of a request that arrived. */
export type Outcome =
  | { readonly refusal: string; readonly isFull: boolean }
  /** `step`: what an answer acknowledges, in runs in which it may be lost later. */
  | { readonly reply: BatchReply | ControlAnswer; readonly step: Applied | undefined };

export interface StoreServerParts {
  readonly world: World;
  readonly weather: Weather;
  readonly observer: Observer;
  readonly machine: Machine;
  readonly processes: Processes;
  /** It keeps what it needs to lose its tail later. */
  readonly keepsLog: boolean;
  /** What the link of each process carries, in each direction. Left out: any size at once. */
  readonly bytesPerMs?: number | undefined;
  /** The scripts beside it, by the store's clock. */
  twinOf?(nowMs: () => number): LuaTwin;
}

/** In the place of what a script did not answer. Its error is what the node gets. */
const NO_REPLY: BatchReply = { status: 'unknown' };
const NO_ANSWER: ControlAnswer = { ok: false, code: 'LOST', at: 0 };

export class StoreServer {
  state = new PartitionState();
  /** Changes when the server process is another one: what INFO calls run_id. */
  runId = 1;
  jumpMs = 0;
  /** When all that is large has crossed, where links are thin. */
  linksBusyUntilMs = 0;
  readonly hits = { ...STORE_HITS };
  readonly world: World;
  readonly weather: Weather;
  readonly twin: LuaTwin | undefined;
  readonly bytesPerMs: number | undefined;
  private readonly observer: Observer;
  private readonly machine: Machine;
  private readonly processes: Processes;
  /** Everything applied, in order, if a tail of it may be lost later. */
  private readonly applied: AppliedLog | undefined;
  /** Hosts that knew, when writes were lost, that the store had acknowledged them; undefined: all that had joined. */
  rememberedBy: readonly string[] | undefined;

  constructor({ world, weather, observer, machine, processes, keepsLog, bytesPerMs, twinOf }: StoreServerParts) {
    this.world = world;
    this.weather = weather;
    this.observer = observer;
    this.machine = machine;
    this.processes = processes;
    this.bytesPerMs = bytesPerMs;
    this.applied = keepsLog ? new AppliedLog() : undefined;
    this.twin = twinOf?.(() => this.nowMs());
  }

  nowMs(): number {
    return Math.floor(START_MS + this.world.nowMs + this.jumpMs);
  }

  /** Applies or refuses a request of that process. Returns undefined if a fault has killed its sender. */
  receive(life: Life, chance: Stream, request: Request): Outcome | undefined {
    const { batch, op } = request;
    const { weather, hits } = this;
    if (life.alive && batch !== undefined && weather.hit('crashBeforeApply', life.host, chance)) {
      hits.crashBeforeApply++;
      this.processes.crash(life);
      return undefined;
    }
    const isKilled = batch !== undefined && weather.hit('scriptKilled', life.host, chance);
    const refusal = isKilled ? SCRIPT_KILLED : this.refusal(batch, op);
    if (refusal !== undefined) {
      hits.refused++;
      return { refusal, isFull: refusal === OUT_OF_MEMORY };
    }
    const outcome = this.apply(life, request);
    if (!life.alive) return undefined;
    if (batch !== undefined && weather.hit('crashAfterApply', life.host, chance)) {
      hits.crashAfterApply++;
      this.processes.crash(life);
      return undefined;
    }
    if (batch !== undefined && !life.paused && weather.hit('pauseAfterApply', life.host, chance)) {
      hits.pauseAfterApply++;
      this.processes.pause(life);
    }
    return outcome;
  }

  private apply(life: Life, { batch, op, args, isLate = false }: Request): Outcome | undefined {
    const { refusing, full } = this.weather;
    const written = { args, isLate, weather: { refusing, full } };
    let step: Applied | undefined;
    const onStep = (one: Applied | undefined): void => {
      step = one;
    };
    if (batch !== undefined) return { reply: this.applyBatch(life.host, batch, life, onStep, written), step };
    return op === undefined ? undefined : { reply: this.applyControl(life.host, op, life, onStep, written), step };
  }

  /** Applies a late copy: no caller waits for its answer. */
  receiveLate(life: Life, request: Request): void {
    if (this.refusal(request.batch, request.op) !== undefined) return;
    this.hits.lateCopy++;
    this.apply(life, { ...request, isLate: true });
  }

  /** `onStep` gets the step that the answer acknowledges, in runs whose store may lose it later. */
  applyBatch(
    host: string,
    batch: Batch,
    life?: Life,
    onStep?: (step: Applied | undefined) => void,
    written?: Written,
  ): BatchReply {
    if (this.twin?.isApart === true) return this.batchApart(this.twin, host, batch, written);
    const atMs = this.nowMs();
    const last = this.state.sessions.get(batch.incarnation)?.last;
    const reply = this.machine.applyBatch(this.state, batch, atMs);
    const isNew = this.state.sessions.get(batch.incarnation)?.last !== last;
    const step = this.applied?.batch(batch, reply, isNew, atMs, life);
    onStep?.(step);
    if (reply.status === 'applied' && batch.ops.some(({ op }) => op === 'expire')) this.weather.full = false;
    this.observer.batch(this.state, host, batch, reply);
    this.twin?.batch(this.state, batch, reply, written);
    return reply;
  }

  applyControl(
    host: string,
    op: ControlOp,
    life?: Life,
    onStep?: (step: Applied | undefined) => void,
    written?: Written,
  ): ControlAnswer {
    // Redis refuses any other text, as the scripts show where they run; the core does not look at it.
    if (this.twin === undefined && 'cursor' in op && !/^\d+$/.test(op.cursor))
      throw new Error(`${op.op} with the cursor "${op.cursor}"`);
    if (this.twin?.isApart === true) return this.controlApart(this.twin, op, written);
    const atMs = this.nowMs();
    const answer = this.machine.applyControl(this.state, op, atMs);
    const step = WRITES.has(op.op) ? this.applied?.control(op, answer, atMs, life) : undefined;
    onStep?.(step);
    this.observer.control(this.state, host, op, answer, atMs);
    this.twin?.control(this.state, op, answer, written);
    return answer;
  }

  /** The core stands still, since keys of Redis were deleted: what the scripts did is what is recorded. */
  private batchApart(twin: LuaTwin, host: string, batch: Batch, written: Written | undefined): BatchReply {
    const { reply = NO_REPLY, isNew } = twin.batchAlone(batch, written);
    if (reply.status === 'applied' && batch.ops.some(({ op }) => op === 'expire')) this.weather.full = false;
    if (isNew) this.observer.batch(this.state, host, batch, reply);
    return reply;
  }

  private controlApart(twin: LuaTwin, op: ControlOp, written: Written | undefined): ControlAnswer {
    const answer = twin.controlAlone(op, written) ?? NO_ANSWER;
    if (op.op === 'shut' && twin.isClosed) this.observer.closed();
    return answer;
  }

  /** Deletes a key of Redis, or a field of one, by its number. Returns its name; undefined if it was not there, or another one is gone. */
  loseKey(which: number): string | undefined {
    return this.twin?.isApart === false ? this.twin.loseKey(which) : undefined;
  }

  /** Why the write is refused now; undefined if it is not. */
  private refusal(batch: Batch | undefined, op: ControlOp | undefined): string | undefined {
    const { refusing, full } = this.weather;
    if (refusing === 'none' && !full) return undefined;
    if (refusing === 'all') return LOADING;
    if (refusing === 'readonly') {
      const writes = batch !== undefined || (op !== undefined && WRITES.has(op.op));
      return writes ? "READONLY You can't write against a read only replica." : undefined;
    }
    const grows = batch?.ops.some(growsLog) === true;
    return grows ? OUT_OF_MEMORY : undefined;
  }

  /** The set of what can begin is gone. Returns false if there was nothing in it. */
  loseReady(): boolean {
    if (this.state.ready.size === 0 || this.twin?.isApart === true) return false;
    this.state.ready.clear();
    this.twin?.loseReady();
    return true;
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

  /** As after a failover that is not announced: the same name, an older state. */
  forgetTail(kept: number): void {
    this.rememberedBy = this.applied?.rememberedBy(kept);
    this.state = new PartitionState();
    const steps = this.applied?.cut(kept) ?? [];
    for (const step of steps) {
      if (step.batch !== undefined) this.machine.applyBatch(this.state, step.batch, step.atMs);
      else if (step.op !== undefined) this.machine.applyControl(this.state, step.op, step.atMs);
    }
    this.observer.restarted(this.state);
    this.twin?.restored(steps, this.state);
  }

  /** Messages in the log that are not terminal. */
  get depth(): number {
    return this.twin?.isApart === true ? this.twin.depth : this.state.depth;
  }

  get steps(): number {
    return this.applied?.length ?? 0;
  }
}
