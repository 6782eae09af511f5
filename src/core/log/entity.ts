/**
 * The steps on the log of one entity: append, claim, begin, finish, retry, withdraw, release, takeover, late.
 *
 *   enqueued -> dispatched -> completed | failed | interrupted          enqueued -> withdrawn
 *
 * Each exported step is atomic. It checks everything before it changes anything, so a refusal has no effect.
 */
import { utf8Bytes } from '../ids.js';
import {
  type AnswerOf,
  type AppendOp,
  type BeginOp,
  type Begun,
  type ClaimOp,
  type FinishAnswer,
  type FinishOp,
  type LateOp,
  type MessageRecord,
  type NewMessage,
  type Outcome,
  RECALLED_BYTES_MAX,
  type RecalledMessage,
  type Refusal,
  type ReleaseOp,
  type RetryOp,
  recordOf,
  refuse,
  type TakeoverOp,
  type TerminalState,
  type WithdrawOp,
} from './operations.js';
import {
  contractOf,
  disown,
  type EntityRecord,
  entityOrNew,
  type KeptRecord,
  keptKey,
  letterKey,
  liveCount,
  type PartitionState,
  settle,
} from './state.js';

/** UTF-8 bytes of results and errors of known messages that the reply to a batch carries so far. */
export interface Recalled {
  bytes: number;
}

/**
 * Returns the state of a known message for the reply. Its result and error are left out if the reply has no room: many appends of
 * one batch may name the same message.
 */
function recall({ state, result, error }: KeptRecord, recalled: Recalled): RecalledMessage {
  if (recalled.bytes >= RECALLED_BYTES_MAX) return { state, result: '', error: '', cut: true };
  recalled.bytes += utf8Bytes(result) + utf8Bytes(error);
  return { state, result, error, cut: false };
}

export function append(
  state: PartitionState,
  me: number,
  op: AppendOp,
  nowMs: number,
  recalled: Recalled = { bytes: 0 },
): AnswerOf['append'] {
  const { entity, message } = op;
  if (message.given) {
    const known = state.kept.get(keptKey(entity, message.id));
    if (known !== undefined) {
      if (known.digest !== message.digest) return refuse('ID_REUSED');
      const rec = state.entities.get(entity);
      const depth = rec ? liveCount(rec) : 0;
      return { ok: true, seq: known.seq, depth, owner: rec?.owner ?? 0, begun: false, known: recall(known, recalled) };
    }
  }
  return accept(state, me, op, nowMs);
}

/** Appends without checking whether the id is known. A given id refers to this message from then on. */
export function accept(state: PartitionState, me: number, op: AppendOp, nowMs: number): AnswerOf['append'] {
  const { entity, message } = op;
  const over = overLimit(state, entity, op.depthMax, 1);
  if (over !== undefined) return over;
  const rec = entityOrNew(state, entity);
  const logged = log(state, entity, rec, message, nowMs);
  const begun =
    op.begin &&
    rec.owner === me &&
    rec.running === undefined &&
    rec.pending.length === 1 &&
    rec.holdUntilMs <= nowMs &&
    declares(state, me, entity, message.name);
  if (begun) rec.running = rec.pending.shift();
  settle(state, entity, rec, nowMs);
  return { ok: true, seq: logged.seq, depth: liveCount(rec), owner: rec.owner, begun, known: undefined };
}

/** Returns a refusal if a count would exceed its limit. `room`: number of messages to add to the depth of the whole prefix. */
function overLimit(state: PartitionState, entity: string, depthMax: number, room: number): Refusal | undefined {
  const { depthMax: totalMax } = state.settings;
  if (totalMax > 0 && state.depth + room > totalMax) return refuse('QUEUE_DEPTH_EXCEEDED', totalMax);
  const rec = state.entities.get(entity);
  const live = rec === undefined ? 0 : liveCount(rec);
  if (depthMax > 0 && live >= depthMax) return refuse('QUEUE_DEPTH_EXCEEDED', depthMax);
  if (live === 0) {
    const { workersMax } = state;
    if (workersMax > 0 && state.active >= workersMax) return refuse('WORKER_LIMIT_EXCEEDED', workersMax);
  }
  return undefined;
}

function log(state: PartitionState, entity: string, rec: EntityRecord, message: NewMessage, nowMs: number): MessageRecord {
  if (liveCount(rec) === 0) state.active++;
  state.depth++;
  const record = recordOf(message, ++rec.tail, 1, 0, nowMs, '');
  rec.pending.push(record);
  if (message.given)
    state.kept.set(keptKey(entity, message.id), {
      seq: record.seq,
      digest: message.digest,
      state: 'live',
      result: '',
      error: '',
      expiresAtMs: 0,
    });
  return record;
}

const declares = (state: PartitionState, me: number, entity: string, name: string): boolean =>
  contractOf(state, me, entity)?.names.includes(name) ?? false;

export function claim(state: PartitionState, me: number, op: ClaimOp, nowMs: number): AnswerOf['claim'] {
  if (contractOf(state, me, op.entity) === undefined) return refuse('UNDECLARED');
  const owner = state.entities.get(op.entity)?.owner ?? 0;
  if (owner !== 0 && owner !== me) return refuse('OWNED', owner);
  const rec = entityOrNew(state, op.entity);
  if (owner === 0) {
    rec.owner = me;
    rec.fence = ++state.fence;
    const member = state.members.get(me);
    if (member !== undefined) member.owns++;
  }
  settle(state, op.entity, rec, nowMs);
  return { ok: true, fence: rec.fence, holdUntilMs: rec.holdUntilMs, pending: rec.pending.length };
}

const owned = (state: PartitionState, me: number, op: { entity: string; fence: number }): EntityRecord | undefined => {
  const rec = state.entities.get(op.entity);
  return rec !== undefined && rec.owner === me && rec.fence === op.fence ? rec : undefined;
};

export function begin(state: PartitionState, me: number, op: BeginOp, nowMs: number): AnswerOf['begin'] {
  const rec = owned(state, me, op);
  if (rec === undefined) return refuse('FENCED');
  const blocked = whyNotBegin(state, me, op.entity, rec, nowMs);
  if (blocked !== undefined) return blocked;
  const begun = beginHead(rec, op.have);
  settle(state, op.entity, rec, nowMs);
  return { ok: true, ...begun };
}

function whyNotBegin(state: PartitionState, me: number, entity: string, rec: EntityRecord, nowMs: number): Refusal | undefined {
  if (rec.running !== undefined) return refuse('RUNNING', rec.running.seq);
  const head = rec.pending.peek();
  if (head === undefined) return refuse('EMPTY');
  if (rec.holdUntilMs > nowMs) return refuse('HELD', rec.holdUntilMs);
  if (head.notBeforeMs > nowMs) return refuse('NOT_BEFORE', head.notBeforeMs);
  if (!declares(state, me, entity, head.name)) return refuse('UNDECLARED');
  return undefined;
}

function beginHead(rec: EntityRecord, have: number): Begun {
  const head = rec.pending.shift() as MessageRecord;
  rec.running = head;
  return { seq: head.seq, attempt: head.attempt, message: head.seq === have ? undefined : head };
}

/** Returns the running message if `op` names its current attempt. */
const attemptOf = (rec: EntityRecord, op: { seq: number; attempt: number }): MessageRecord | undefined =>
  rec.running !== undefined && rec.running.seq === op.seq && rec.running.attempt === op.attempt ? rec.running : undefined;

export function finish(state: PartitionState, me: number, op: FinishOp, nowMs: number): AnswerOf['finish'] {
  const rec = owned(state, me, op);
  if (rec === undefined) return refuse('FENCED');
  const message = attemptOf(rec, op);
  if (message === undefined) return refuse('NOT_RUNNING');
  const over = overLimitOfSends(state, op);
  if (over !== undefined) return over;
  rec.running = undefined;
  end(state, op.entity, rec, message, op.outcome.state, op.outcome, me, nowMs);
  if (op.outcome.state === 'failed' && op.outcome.noDeadLetter !== true)
    addDeadLetter(state, op.entity, message, 'failed', op.outcome.error, me, nowMs);
  const sent =
    op.sends.length === 0
      ? NONE_SENT
      : op.sends.map((send) => {
          const target = entityOrNew(state, send.entity);
          const { seq } = log(state, send.entity, target, send.message, nowMs);
          settle(state, send.entity, target, nowMs);
          return { seq, owner: target.owner };
        });
  const next = op.next >= 0 && whyNotBegin(state, me, op.entity, rec, nowMs) === undefined ? beginHead(rec, op.next) : undefined;
  settle(state, op.entity, rec, nowMs);
  return { ok: true, next, sent };
}

const NONE_SENT: FinishAnswer['sent'] = [];

/** Returns a refusal if the sends of a handler exceed a limit: all are appended or none. The ending message no longer counts. */
function overLimitOfSends(state: PartitionState, op: FinishOp): Refusal | undefined {
  const { sends } = op;
  if (sends.length === 0) return undefined;
  const { depthMax } = state.settings;
  if (depthMax > 0 && state.depth - 1 + sends.length > depthMax) return refuse('QUEUE_DEPTH_EXCEEDED', depthMax);
  const { workersMax } = state;
  const added = new Map<string, number>();
  let active = state.active;
  const self = state.entities.get(op.entity) as EntityRecord;
  if (liveCount(self) === 1) active--;
  for (const { entity, depthMax: entityMax } of sends) {
    const rec = state.entities.get(entity);
    const live = (rec === undefined ? 0 : liveCount(rec)) - (entity === op.entity ? 1 : 0) + (added.get(entity) ?? 0);
    if (entityMax > 0 && live >= entityMax) return refuse('QUEUE_DEPTH_EXCEEDED', entityMax);
    if (live === 0 && workersMax > 0 && active++ >= workersMax) return refuse('WORKER_LIMIT_EXCEEDED', workersMax);
    added.set(entity, (added.get(entity) ?? 0) + 1);
  }
  return undefined;
}

/** Ends a message in a terminal state. The store keeps its outcome by its id as long as retention says. */
function end(
  state: PartitionState,
  entity: string,
  rec: EntityRecord,
  message: MessageRecord,
  terminal: TerminalState,
  outcome: Pick<Outcome, 'result' | 'error'>,
  me: number,
  nowMs: number,
): void {
  state.depth--;
  if (liveCount(rec) === 0) state.active--;
  // The owner passes the result to a waiter of its own process in memory. For a waiter of another node the store keeps it.
  const waits = message.waiter !== 0 && message.waiter !== me;
  if (!message.given && !waits) return;
  const key = keptKey(entity, message.id);
  const { entryTtlMs, resultTtlMs } = state.settings;
  const expiresAtMs = nowMs + (message.given ? entryTtlMs : resultTtlMs);
  state.kept.set(key, {
    seq: message.seq,
    digest: message.digest,
    state: terminal,
    result: outcome.result,
    error: outcome.error,
    expiresAtMs,
  });
  state.expiry.push({ atMs: expiresAtMs, kept: key, held: '' });
}

/** Adds the dead letter of an attempt. */
function addDeadLetter(
  state: PartitionState,
  entity: string,
  message: MessageRecord,
  reason: 'failed' | 'interrupted',
  error: string,
  incarnation: number,
  nowMs: number,
): void {
  const id = String(++state.letter);
  const diedAtMs = nowMs;
  state.letters.set(id, { id, entity, message, reason, error, incarnation, diedAtMs, late: '', lateDetail: '', replayedAs: '' });
  state.letterOf.set(letterKey(entity, message.seq, message.attempt), id);
}

export function retry(state: PartitionState, me: number, op: RetryOp, nowMs: number): AnswerOf['retry'] {
  const rec = owned(state, me, op);
  if (rec === undefined) return refuse('FENCED');
  const message = attemptOf(rec, op);
  if (message === undefined) return refuse('NOT_RUNNING');
  if (message.attempt >= (contractOf(state, me, op.entity)?.maxAttempts ?? 1)) return refuse('EXHAUSTED');
  const notBeforeMs = nowMs + op.delayMs;
  rec.running = undefined;
  rec.pending.unshift({ ...message, attempt: message.attempt + 1, notBeforeMs, error: op.error });
  settle(state, op.entity, rec, nowMs);
  return { ok: true, notBeforeMs };
}

export function withdraw(state: PartitionState, op: WithdrawOp, nowMs: number): AnswerOf['withdraw'] {
  const rec = state.entities.get(op.entity);
  if (rec?.running?.seq === op.seq && rec.running.id === op.id) return refuse('RUNNING', op.seq);
  const message = rec?.pending.get(op.seq);
  if (rec === undefined || message?.id !== op.id)
    return refuse(state.kept.has(keptKey(op.entity, op.id)) ? 'TERMINAL' : 'ABSENT');
  rec.pending.take(op.seq);
  // Only the caller waits, and it gets this answer. So the store keeps an outcome only for a given id.
  end(state, op.entity, rec, { ...message, waiter: 0 }, 'withdrawn', { result: '', error: '' }, 0, nowMs);
  // Only a head waits for its next attempt. The message behind it can begin now.
  const heldUp = message.notBeforeMs > nowMs;
  if (heldUp) state.ready.delete(op.entity);
  settle(state, op.entity, rec, nowMs);
  return { ok: true, owner: heldUp ? rec.owner : 0 };
}

export function release(state: PartitionState, me: number, op: ReleaseOp, nowMs: number): AnswerOf['release'] {
  const rec = owned(state, me, op);
  if (rec === undefined) return refuse('FENCED');
  if (rec.running !== undefined) return refuse('RUNNING', rec.running.seq);
  if (!op.handoff && rec.pending.length > 0) return refuse('MORE', rec.pending.length);
  disown(state, rec);
  settle(state, op.entity, rec, nowMs);
  return { ok: true };
}

export const INTERRUPTED_ERROR = '{"name":"Interrupted","message":"the node that ran the handler was lost"}';

export function takeover(state: PartitionState, op: TakeoverOp, nowMs: number): AnswerOf['takeover'] {
  const rec = state.entities.get(op.entity);
  if (rec === undefined || rec.owner !== op.incarnation) return refuse('OWNED', rec?.owner ?? 0);
  if (state.members.get(op.incarnation)?.dead === false) return refuse('NOT_DEAD');
  const message = rec.running;
  if (message === undefined) {
    disown(state, rec);
    settle(state, op.entity, rec, nowMs);
    return { ok: true, interrupted: undefined, holdUntilMs: rec.holdUntilMs };
  }
  const contract = contractOf(state, op.incarnation, op.entity);
  const requeued = contract?.onInterrupt === 'retry' && message.attempt < contract.maxAttempts;
  const deadLetter = !requeued && contract?.queries?.includes(message.name) !== true;
  rec.running = undefined;
  if (requeued) rec.pending.unshift({ ...message, attempt: message.attempt + 1, notBeforeMs: 0, error: INTERRUPTED_ERROR });
  else {
    end(state, op.entity, rec, message, 'interrupted', { result: '', error: INTERRUPTED_ERROR }, 0, nowMs);
    if (deadLetter) addDeadLetter(state, op.entity, message, 'interrupted', INTERRUPTED_ERROR, op.incarnation, nowMs);
  }
  rec.holdUntilMs = Math.max(rec.holdUntilMs, nowMs + state.settings.takeoverHoldMs);
  disown(state, rec);
  settle(state, op.entity, rec, nowMs);
  const { seq, id, name, waiter } = message;
  return { ok: true, interrupted: { seq, id, name, waiter, requeued, deadLetter }, holdUntilMs: rec.holdUntilMs };
}

export function late(state: PartitionState, op: LateOp): AnswerOf['late'] {
  const letterId = state.letterOf.get(letterKey(op.entity, op.seq, op.attempt));
  const letter = letterId === undefined ? undefined : state.letters.get(letterId);
  if (letter === undefined || letter.incarnation !== op.incarnation) {
    const member = state.members.get(op.incarnation);
    const owns = state.entities.get(op.entity)?.owner === op.incarnation;
    return refuse(owns || member?.dead === false ? 'NOT_YET' : 'NO_LETTER');
  }
  state.letters.set(letter.id, { ...letter, late: op.outcome, lateDetail: op.detail });
  return { ok: true };
}
