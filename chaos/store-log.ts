/**
 * Reads from the commands of a Redis what the scripts of the library did to the log, and tells it as events of a history:
 * what the simulator's observer does for its own store. A batch was applied if and only if its script wrote the session
 * (`HSET meta s<incarnation> <number> s<incarnation>:<0|1> <reply>`), and the reply that it keeps there is what it answered.
 */

import type { HistoryEvent } from '../sim/history.js';
import { callOf } from '../sim/observer.js';
import type { Answer, AnswerOf, AppendOp, Begun, FinishOp, SessionOp, TakeoverOp } from '../src/core/log/operations.js';
import { decodeBatchReply, FS } from '../src/redis/codec.js';
import { decodeBatch } from './decode-batch.js';
import type { MonitorLine } from './monitor.js';

type Unplaced<T> = T extends HistoryEvent ? Omit<T, 'index' | 'atMs'> : never;
export type Tell = (atMs: number, event: Unplaced<HistoryEvent>) => void;

/** Of a script's arguments: its name, the script, the number of keys, and three keys. */
const ARGV_AT = 6;
const GROUP = 'default';

export class StoreLog {
  /** Messages that are not terminal, as the log says. */
  depth = 0;
  private active = 0;
  private workersMax = 0;
  private argv: readonly string[] = [];
  private readonly meta: string;
  private readonly names = new Map<number, string>();
  private readonly beats = new Map<string, number>();
  private readonly epochs = new Map<string, number>();
  /** Ids by entity and sequence, since most operations name messages by sequence. */
  private readonly ids = new Map<string, string>();
  private readonly live = new Map<string, number>();
  private readonly fences = new Map<string, number>();
  private letters = 0;

  constructor(
    private readonly base: string,
    private readonly tell: Tell,
  ) {
    this.meta = `${base}meta`;
  }

  /** When the store last took a beat of the node of that name. */
  lastBeatMs(node: string): number {
    return this.beats.get(node) ?? Number.NEGATIVE_INFINITY;
  }

  take({ isLua, args }: MonitorLine, atMs: number): void {
    const [command = '', key = ''] = args;
    if (!isLua) {
      const isScript = /^eval(sha)?$/i.test(command) && args[2] === '3' && args[3] === this.meta;
      this.argv = isScript ? args.slice(ARGV_AT) : [];
      return;
    }
    if (command !== 'HSET' || !key.startsWith(this.base) || this.argv.length === 0) return;
    const pairs = args.slice(2);
    if (key === this.meta) this.wroteMeta(pairs, atMs);
    else if (key === `${this.base}member`) this.wroteMember(pairs, atMs);
    else if (key === `${this.base}leader`) this.wroteLeader(pairs, atMs);
    else if (key === `${this.base}dlq`) this.wroteLetters(pairs, atMs);
  }

  private wroteMeta(pairs: readonly string[], atMs: number): void {
    const fields = new Map<string, string>();
    for (let i = 0; i + 1 < pairs.length; i += 2) fields.set(pairs[i] as string, pairs[i + 1] as string);
    this.depth = Number(fields.get('depth') ?? this.depth);
    this.active = Number(fields.get('active') ?? this.active);
    this.workersMax = Number(fields.get('workersMax') ?? this.workersMax);
    const session = `s${this.argv[1]}`;
    if (pairs[0] === session && pairs[2]?.startsWith(`${session}:`) === true) this.applied(pairs[3] as string, atMs);
  }

  /** A join writes a member, and so does a beat. */
  private wroteMember([incarnation = '', record = '']: readonly string[], atMs: number): void {
    const [serverId = ''] = record.split(FS);
    this.names.set(Number(incarnation), serverId);
    if (this.argv[2] === 'beat' || this.argv[2] === 'join') this.beats.set(serverId, atMs);
  }

  private wroteLeader([group = '', record = '']: readonly string[], atMs: number): void {
    const [leader, epoch] = record.split(FS).map(Number) as [number, number];
    if (this.epochs.get(group) === epoch) return;
    this.epochs.set(group, epoch);
    this.tell(atMs, { kind: 'epoch', ...this.by(leader), group: GROUP, epoch, what: 'lead' });
  }

  private wroteLetters(pairs: readonly string[], atMs: number): void {
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const letter = pairs[i] as string;
      // A late end is noted on a letter that is known.
      if (Number(letter) <= this.letters) continue;
      this.letters = Number(letter);
      const [entity = '', reason = '', , , , , , , seq = '', , attempt = ''] = (pairs[i + 1] as string).split(FS);
      const message = { entity, id: this.idOf(entity, Number(seq)), seq: Number(seq), attempt: Number(attempt) };
      this.tell(atMs, {
        kind: 'letter',
        ...this.by(Number(this.argv[1])),
        letter,
        ...message,
        reason: reason as 'failed' | 'interrupted',
      });
    }
  }

  private by(incarnation: number): { readonly node: string; readonly incarnation: number } {
    return { node: this.names.get(incarnation) ?? '', incarnation };
  }

  private applied(text: string, atMs: number): void {
    const batch = decodeBatch(this.argv);
    const reply = decodeBatchReply(text, batch);
    if (reply.status !== 'applied') throw new Error(`an applied batch keeps the reply ${text.slice(0, 50)}`);
    batch.ops.forEach((op, i) => {
      const answer = reply.answers[i];
      if (answer?.ok === true) this.step(atMs, batch.incarnation, op, answer);
    });
  }

  private step(atMs: number, incarnation: number, op: SessionOp, answer: Answer): void {
    const by = this.by(incarnation);
    switch (op.op) {
      case 'append':
        this.append(atMs, by, op, answer as AnswerOf['append'] & { ok: true });
        return;
      case 'begin':
        this.began(atMs, by, op.entity, op.fence, answer as unknown as Begun);
        return;
      case 'finish':
        this.finish(atMs, by, op, answer as AnswerOf['finish'] & { ok: true });
        return;
      case 'retry':
        this.moved(atMs, by, op.entity, op.seq, op.attempt, 'dispatched', 'enqueued', op.fence);
        return;
      case 'withdraw':
        this.moved(atMs, by, op.entity, op.seq, 0, 'enqueued', 'withdrawn', 0);
        return;
      case 'takeover':
        this.takeover(atMs, by, op, answer as AnswerOf['takeover'] & { ok: true });
        return;
      case 'claim': {
        const { fence } = answer as AnswerOf['claim'] & { ok: true };
        this.fences.set(op.entity, fence);
        this.tell(atMs, { kind: 'own', ...by, entity: op.entity, owner: incarnation, fence, how: 'claim' });
        return;
      }
      case 'release':
        this.tell(atMs, { kind: 'own', ...by, entity: op.entity, owner: 0, fence: op.fence, how: 'release' });
    }
  }

  private append(atMs: number, by: By, { entity, message }: AppendOp, answer: AnswerOf['append'] & { ok: true }): void {
    if (answer.known !== undefined) return;
    this.appended(atMs, by, entity, message, answer.seq);
    const fence = this.fences.get(entity) ?? 0;
    if (answer.begun) this.moved(atMs, by, entity, answer.seq, 1, 'enqueued', 'dispatched', fence);
  }

  private appended(
    atMs: number,
    by: By,
    entity: string,
    message: { id: string; payload: string; given: boolean; replayOf: string },
    seq: number,
  ): void {
    const { id, given, replayOf } = message;
    this.ids.set(`${entity} ${seq}`, id);
    const depth = (this.live.get(entity) ?? 0) + 1;
    this.live.set(entity, depth);
    const { depth: total, active, workersMax } = this;
    const call = callOf(message.payload);
    this.tell(atMs, {
      ...{ kind: 'append', ...by, entity, id, seq, call, given, replayOf },
      ...{ depth, total, active, workersMax },
    });
  }

  private began(atMs: number, by: By, entity: string, fence: number, { seq, attempt }: Begun): void {
    this.moved(atMs, by, entity, seq, attempt, 'enqueued', 'dispatched', fence);
  }

  private finish(atMs: number, by: By, op: FinishOp, answer: AnswerOf['finish'] & { ok: true }): void {
    const { entity, seq, attempt, fence, outcome, sends } = op;
    this.left(entity);
    this.tell(atMs, {
      ...{ kind: 'transition', ...by, entity, id: this.idOf(entity, seq), seq, attempt, from: 'dispatched' },
      ...{ to: outcome.state, fence, result: outcome.result, sends: sends.map((s) => s.message.id) },
    });
    for (const [i, send] of sends.entries()) this.appended(atMs, by, send.entity, send.message, answer.sent[i]?.seq ?? 0);
    if (answer.next !== undefined) this.began(atMs, by, entity, fence, answer.next);
  }

  private takeover(atMs: number, by: By, { entity }: TakeoverOp, answer: AnswerOf['takeover'] & { ok: true }): void {
    if (answer.interrupted !== undefined) {
      const { seq, requeued } = answer.interrupted;
      this.moved(atMs, by, entity, seq, 0, 'dispatched', requeued ? 'enqueued' : 'interrupted', 0);
    }
    this.tell(atMs, { kind: 'own', ...by, entity, owner: 0, fence: 0, how: 'takeover' });
  }

  private moved(
    atMs: number,
    by: By,
    entity: string,
    seq: number,
    attempt: number,
    from: 'enqueued' | 'dispatched',
    to: 'enqueued' | 'dispatched' | 'withdrawn' | 'interrupted',
    fence: number,
  ): void {
    if (to === 'withdrawn' || to === 'interrupted') this.left(entity);
    this.tell(atMs, { kind: 'transition', ...by, entity, id: this.idOf(entity, seq), seq, attempt, from, to, fence });
  }

  private left(entity: string): void {
    this.live.set(entity, (this.live.get(entity) ?? 0) - 1);
  }

  private idOf(entity: string, seq: number): string {
    return this.ids.get(`${entity} ${seq}`) ?? '';
  }
}

interface By {
  readonly node: string;
  readonly incarnation: number;
}
