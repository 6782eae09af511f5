/**
 * Turns each step of a batch into events of the log: for the simulator's own store, and for a Redis server whose calls are
 * observed.
 */
import type {
  Answer,
  AnswerOf,
  AppendOp,
  Begun,
  FinishOp,
  NewMessage,
  SessionOp,
  TakeoverOp,
} from '../src/core/log/operations.js';
import { isTerminal } from './checkers/view.js';
import type { History } from './history.js';
import { QUERIES } from './job.js';

export type LogEvent = Parameters<History['add']>[0];

/** The node that asked for the step. */
export interface By {
  readonly node: string;
  readonly incarnation: number;
}

/** Values that only the store knows. */
export interface Store {
  fenceOf(entity: string): number;
  workersMax(): number;
}

type Done<K extends keyof AnswerOf> = AnswerOf[K] & { ok: true };

/** Returns the caller's name of a message. The workload puts it first into every payload. */
export function callOf(payload: string): string {
  const match = /^\{"c":"([^"]*)"/.exec(payload);
  return match?.[1] ?? '';
}

export class LogEvents {
  /** Ids by entity and sequence. Most operations name messages by sequence. */
  private readonly ids = new Map<string, string>();
  /**
   * Number of messages per entity that are not terminal, after each step. The store's own counts are those after the whole batch.
   */
  private live = new Map<string, number>();
  private total = 0;

  constructor(
    private readonly add: (event: LogEvent) => void,
    private readonly store: Store,
  ) {}

  /** Sets the counts of a log that goes on: entities with messages that are not terminal, and their number. */
  goOnFrom(live: ReadonlyMap<string, number>): void {
    this.live = new Map(live);
    this.total = [...live.values()].reduce((sum, n) => sum + n, 0);
  }

  idOf(entity: string, seq: number): string {
    return this.ids.get(`${entity} ${seq}`) ?? '';
  }

  /** Records one step. Only for steps that were applied. */
  step(by: By, op: SessionOp, answer: Answer): void {
    switch (op.op) {
      case 'append':
        this.append(by, op, answer as Done<'append'>);
        return;
      case 'begin':
        this.began(by, op.entity, op.fence, answer as unknown as Begun);
        return;
      case 'finish':
        this.finish(by, op, answer as Done<'finish'>);
        return;
      case 'retry':
        this.moved(by, op.entity, op.seq, op.attempt, 'dispatched', 'enqueued', op.fence);
        return;
      case 'withdraw':
        this.moved(by, op.entity, op.seq, 0, 'enqueued', 'withdrawn', 0);
        return;
      case 'takeover':
        this.takeover(by, op, answer as Done<'takeover'>);
        return;
      case 'claim': {
        const { fence } = answer as Done<'claim'>;
        this.add({ kind: 'own', ...by, entity: op.entity, owner: by.incarnation, fence, how: 'claim' });
        return;
      }
      case 'late': {
        const { entity, seq, attempt, incarnation: of, outcome } = op;
        this.add({ kind: 'late', ...by, entity, seq, attempt, of, outcome });
        return;
      }
      case 'release':
        this.add({ kind: 'own', ...by, entity: op.entity, owner: 0, fence: op.fence, how: 'release' });
    }
  }

  private append(by: By, { entity, message }: AppendOp, answer: Done<'append'>): void {
    if (answer.known !== undefined) return;
    this.appended(by, entity, message, answer.seq);
    if (answer.begun) this.moved(by, entity, answer.seq, 1, 'enqueued', 'dispatched', this.store.fenceOf(entity));
  }

  appended(
    by: By,
    entity: string,
    message: Pick<NewMessage, 'id' | 'name' | 'payload' | 'given' | 'replayOf'> & { readonly isForced?: boolean },
    seq: number,
  ): void {
    const { id, given, replayOf } = message;
    this.ids.set(`${entity} ${seq}`, id);
    const call = callOf(message.payload);
    const isQuery = QUERIES.includes(message.name);
    const depth = this.count(entity, 1);
    const counts = { depth, total: this.total, active: this.live.size, workersMax: this.store.workersMax() };
    const more = { ...(isQuery && { isQuery }), ...(message.isForced && { isForced: true }) };
    this.add({ kind: 'append', ...by, entity, id, seq, call, given, replayOf, ...more, ...counts });
  }

  private count(entity: string, by: 1 | -1): number {
    const depth = (this.live.get(entity) ?? 0) + by;
    this.total += by;
    if (depth === 0) this.live.delete(entity);
    else this.live.set(entity, depth);
    return depth;
  }

  private began(by: By, entity: string, fence: number, { seq, attempt }: Begun): void {
    this.moved(by, entity, seq, attempt, 'enqueued', 'dispatched', fence);
  }

  private finish(by: By, op: FinishOp, answer: Done<'finish'>): void {
    const { entity, seq, attempt, fence, outcome, sends } = op;
    this.count(entity, -1);
    this.add({
      ...{ kind: 'transition', ...by, entity, id: this.idOf(entity, seq), seq, attempt, from: 'dispatched' },
      ...{ to: outcome.state, fence, result: outcome.result, sends: sends.map((s) => s.message.id) },
      ...(outcome.noDeadLetter === true && { noDeadLetter: true }),
    });
    for (const [i, send] of sends.entries()) this.appended(by, send.entity, send.message, answer.sent[i]?.seq ?? 0);
    if (answer.next !== undefined) this.began(by, entity, fence, answer.next);
  }

  private takeover(by: By, { entity }: TakeoverOp, answer: Done<'takeover'>): void {
    if (answer.interrupted !== undefined) {
      const { seq, requeued } = answer.interrupted;
      this.moved(by, entity, seq, 0, 'dispatched', requeued ? 'enqueued' : 'interrupted', 0);
    }
    this.add({ kind: 'own', ...by, entity, owner: 0, fence: 0, how: 'takeover' });
  }

  private moved(
    by: By,
    entity: string,
    seq: number,
    attempt: number,
    from: 'enqueued' | 'dispatched',
    to: 'enqueued' | 'dispatched' | 'withdrawn' | 'interrupted',
    fence: number,
  ): void {
    if (isTerminal(to)) this.count(entity, -1);
    this.add({ kind: 'transition', ...by, entity, id: this.idOf(entity, seq), seq, attempt, from, to, fence });
  }
}
