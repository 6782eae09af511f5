/**
 * The server side of the simulated store: the protocol's own state machine. With the store `lua`, the scripts of the production
 * adapter run in lockstep with it, and the nodes get the answers of the scripts.
 */
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import { type Batch, type BatchReply, growsLog } from '../src/core/log/operations.js';
import { PartitionState } from '../src/core/log/state.js';
import { type Applied, AppliedLog } from './applied-log.js';
import type { Conditions } from './conditions.js';
import type { LuaLockstep, Written } from './lua/lockstep.js';
import type { Machine } from './machine.js';
import type { Observer } from './observer.js';
import type { Stream } from './sim-random.js';
import type { Life, World } from './world.js';

const START_MS = 1_700_000_000_000;
const WRITES = new Set<ControlOp['op']>([
  'join',
  'heartbeat',
  'leave',
  'evict',
  'report',
  'lead',
  'replay',
  'purge',
  'closeStore',
]);

/** The error of Redis for a script that was killed before its first write. */
const SCRIPT_KILLED = 'ERR Error running script: Script killed by user with SCRIPT KILL.';
const LOADING = 'LOADING Redis is loading the dataset in memory';
/** Refusals that come before a script runs, so that no command of a script returns them. */
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

/** Faults that hit a process in the middle of a store call. */
export interface Processes {
  crash(life: Life): void;
  pause(life: Life): void;
}

/** The content of a call to the store: a batch, or an operation outside of sessions. */
export interface Request {
  readonly batch?: Batch | undefined;
  readonly op?: ControlOp | undefined;
  /** The arguments as the adapter encoded them, if the scripts run. */
  readonly args?: readonly string[] | undefined;
  /** Set if no caller reads the answer. */
  readonly isLate?: boolean;
}

/** The outcome of a request that reached the store. */
export type Outcome =
  | { readonly refusal: string; readonly isFull: boolean }
  /** `step`: the applied step that the reply acknowledges, in runs in which the store may lose it later. */
  | { readonly reply: BatchReply | ControlAnswer; readonly step: Applied | undefined };

export interface StoreServerParts {
  readonly world: World;
  readonly conditions: Conditions;
  readonly observer: Observer;
  readonly machine: Machine;
  readonly processes: Processes;
  /** The store keeps its applied steps, so that it can lose the last of them later. */
  readonly keepsLog: boolean;
  /** Bytes per ms that the link of each process carries, in each direction. Left out: any size at once. */
  readonly bytesPerMs?: number | undefined;
  /** Makes the scripts that run in lockstep with the core. They use the store's clock. */
  lockstepOf?(nowMs: () => number): LuaLockstep;
}

/** Replace the reply that a failed script did not give. The node gets the error of the script. */
const NO_REPLY: BatchReply = { status: 'unknown' };
const NO_ANSWER: ControlAnswer = { ok: false, code: 'LOST', at: 0 };

export class StoreServer {
  state = new PartitionState();
  /** Changes when another server process runs, as `run_id` in Redis INFO does. */
  runId = 1;
  jumpMs = 0;
  /** World time in ms at which all large content has crossed the thin links. */
  linksBusyUntilMs = 0;
  readonly hits = { ...STORE_HITS };
  readonly world: World;
  readonly conditions: Conditions;
  readonly lockstep: LuaLockstep | undefined;
  readonly bytesPerMs: number | undefined;
  private readonly observer: Observer;
  private readonly machine: Machine;
  private readonly processes: Processes;
  /** All applied steps in order, if the store may lose the last of them later. */
  private readonly applied: AppliedLog | undefined;
  /** The hosts that had an acknowledgement of the lost writes when the store lost them. Undefined: all that had joined. */
  rememberedBy: readonly string[] | undefined;

  constructor({ world, conditions, observer, machine, processes, keepsLog, bytesPerMs, lockstepOf }: StoreServerParts) {
    this.world = world;
    this.conditions = conditions;
    this.observer = observer;
    this.machine = machine;
    this.processes = processes;
    this.bytesPerMs = bytesPerMs;
    this.applied = keepsLog ? new AppliedLog() : undefined;
    this.lockstep = lockstepOf?.(() => this.nowMs());
  }

  nowMs(): number {
    return Math.floor(START_MS + this.world.nowMs + this.jumpMs);
  }

  /** Applies or refuses a request of that process. Returns undefined if a fault has killed the sender. */
  receive(life: Life, chance: Stream, request: Request): Outcome | undefined {
    const { batch, op } = request;
    const { conditions, hits } = this;
    if (life.alive && batch !== undefined && conditions.hit('crashBeforeApply', life.host, chance)) {
      hits.crashBeforeApply++;
      this.processes.crash(life);
      return undefined;
    }
    const isKilled = batch !== undefined && conditions.hit('scriptKilled', life.host, chance);
    const refusal = isKilled ? SCRIPT_KILLED : this.refusal(batch, op);
    if (refusal !== undefined) {
      hits.refused++;
      return { refusal, isFull: refusal === OUT_OF_MEMORY };
    }
    const outcome = this.apply(life, request);
    if (!life.alive) return undefined;
    if (batch !== undefined && conditions.hit('crashAfterApply', life.host, chance)) {
      hits.crashAfterApply++;
      this.processes.crash(life);
      return undefined;
    }
    if (batch !== undefined && !life.paused && conditions.hit('pauseAfterApply', life.host, chance)) {
      hits.pauseAfterApply++;
      this.processes.pause(life);
    }
    return outcome;
  }

  private apply(life: Life, { batch, op, args, isLate = false }: Request): Outcome | undefined {
    const { refusing, full } = this.conditions;
    const written = { args, isLate, conditions: { refusing, full } };
    let step: Applied | undefined;
    const onStep = (one: Applied | undefined): void => {
      step = one;
    };
    if (batch !== undefined) return { reply: this.applyBatch(life.host, batch, life, onStep, written), step };
    return op === undefined ? undefined : { reply: this.applyControl(life.host, op, life, onStep, written), step };
  }

  /** Applies a late copy. No caller waits for its answer. */
  receiveLate(life: Life, request: Request): void {
    if (this.refusal(request.batch, request.op) !== undefined) return;
    this.hits.lateCopy++;
    this.apply(life, { ...request, isLate: true });
  }

  /** Applies a batch. `onStep` gets the step that the reply acknowledges, in runs whose store may lose it later. */
  applyBatch(
    host: string,
    batch: Batch,
    life?: Life,
    onStep?: (step: Applied | undefined) => void,
    written?: Written,
  ): BatchReply {
    if (this.lockstep?.isApart === true) return this.batchApart(this.lockstep, host, batch, written);
    const atMs = this.nowMs();
    const last = this.state.sessions.get(batch.incarnation)?.last;
    const reply = this.machine.applyBatch(this.state, batch, atMs);
    const isNew = this.state.sessions.get(batch.incarnation)?.last !== last;
    const step = this.applied?.batch(batch, reply, isNew, atMs, life);
    onStep?.(step);
    if (reply.status === 'applied' && batch.ops.some(({ op }) => op === 'expire')) this.conditions.full = false;
    this.observer.batch(this.state, host, batch, reply);
    this.lockstep?.batch(this.state, batch, reply, written);
    return reply;
  }

  applyControl(
    host: string,
    op: ControlOp,
    life?: Life,
    onStep?: (step: Applied | undefined) => void,
    written?: Written,
  ): ControlAnswer {
    // Redis refuses a cursor of another form, which the scripts show if they run. The core does not check the cursor.
    if (this.lockstep === undefined && 'cursor' in op && !/^\d+$/.test(op.cursor))
      throw new Error(`${op.op} with the cursor "${op.cursor}"`);
    if (this.lockstep?.isApart === true) return this.controlApart(this.lockstep, op, written);
    const atMs = this.nowMs();
    const answer = this.machine.applyControl(this.state, op, atMs);
    const step = WRITES.has(op.op) ? this.applied?.control(op, answer, atMs, life) : undefined;
    onStep?.(step);
    this.observer.control(this.state, host, op, answer, atMs);
    this.lockstep?.control(this.state, op, answer, written);
    return answer;
  }

  /**
   * Applies a batch by the scripts alone. The core does not follow after keys of Redis were deleted, so the scripts' reply is
   * recorded.
   */
  private batchApart(lockstep: LuaLockstep, host: string, batch: Batch, written: Written | undefined): BatchReply {
    const { reply = NO_REPLY, isNew } = lockstep.batchAlone(batch, written);
    if (reply.status === 'applied' && batch.ops.some(({ op }) => op === 'expire')) this.conditions.full = false;
    if (isNew) this.observer.batch(this.state, host, batch, reply);
    return reply;
  }

  private controlApart(lockstep: LuaLockstep, op: ControlOp, written: Written | undefined): ControlAnswer {
    const answer = lockstep.controlAlone(op, written) ?? NO_ANSWER;
    if (op.op === 'closeStore' && lockstep.isClosed) this.observer.closed();
    return answer;
  }

  /**
   * Deletes a key of Redis, or a field of a key, by its number. Returns its name; undefined if it was not there, or a key is lost
   * already.
   */
  loseKey(which: number): string | undefined {
    return this.lockstep?.isApart === false ? this.lockstep.loseKey(which) : undefined;
  }

  /** Returns why the store refuses the request now; undefined if it does not. */
  private refusal(batch: Batch | undefined, op: ControlOp | undefined): string | undefined {
    const { refusing, full } = this.conditions;
    if (refusing === 'none' && !full) return undefined;
    if (refusing === 'all') return LOADING;
    if (refusing === 'readonly') {
      const writes = batch !== undefined || (op !== undefined && WRITES.has(op.op));
      return writes ? "READONLY You can't write against a read only replica." : undefined;
    }
    const grows = batch?.ops.some(growsLog) === true;
    return grows ? OUT_OF_MEMORY : undefined;
  }

  /** Empties the ready set. Returns false if it was empty. */
  loseReady(): boolean {
    if (this.state.ready.size === 0 || this.lockstep?.isApart === true) return false;
    this.state.ready.clear();
    this.lockstep?.loseReady();
    return true;
  }

  /** Restarts the server without any data. */
  restartEmpty(): void {
    this.restart(0);
  }

  /** Restarts the server without the last `lost` applied steps. Returns how many it lost. */
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

  /** Restarts the server in the state before the `count` newest live members joined. Returns false if it was empty then. */
  restartBeforeJoins(count: number): boolean {
    const live = [...this.state.members.values()].filter((m) => !m.dead).map((m) => m.token);
    const tokens = new Set(live.slice(-count));
    const at = this.applied?.indexOf(({ op }) => op?.op === 'join' && tokens.has(op.token)) ?? -1;
    if (at <= 0) return false;
    this.restart(at);
    return true;
  }

  /** Returns to the state after the first `kept` steps under the same run id, as in a failover that is not announced. */
  forgetTail(kept: number): void {
    this.rememberedBy = this.applied?.rememberedBy(kept);
    this.state = new PartitionState();
    const steps = this.applied?.cut(kept) ?? [];
    for (const step of steps) {
      if (step.batch !== undefined) this.machine.applyBatch(this.state, step.batch, step.atMs);
      else if (step.op !== undefined) this.machine.applyControl(this.state, step.op, step.atMs);
    }
    this.observer.restarted(this.state);
    this.lockstep?.restored(steps, this.state);
  }

  /** Number of messages in the log that are not terminal. */
  get depth(): number {
    return this.lockstep?.isApart === true ? this.lockstep.depth : this.state.depth;
  }

  get steps(): number {
    return this.applied?.length ?? 0;
  }
}
