/**
 * The entry points of the store protocol: numbered batches of a session, and operations outside of sessions.
 *
 * Each batch is applied once and in order, even if copies of it are lost, sent again or late. This is the client table of
 * Viewstamped Replication (Liskov and Cowling 2012, §4; Ongaro's Raft dissertation, §6.3). A session keeps the answers of its
 * last two batches: a node has at most two batches in flight.
 */

import type { ControlAnswer, ControlOp } from './control-operations.js';
import { append, begin, claim, finish, late, type Recalled, release, retry, takeover, withdraw } from './entity.js';
import { strangerOf } from './identity.js';
import { audit, counts, entity, history, survey } from './inspection.js';
import { lead } from './leadership.js';
import { expire, letters, lookup, purge, replay, shed } from './letters.js';
import { closeStore, evict, heartbeat, join, leave, members, owned, ready, report, schemas } from './membership.js';
import type { Answer, Batch, BatchReply, SessionOp } from './operations.js';
import type { PartitionState, Session } from './state.js';

export function applyBatch(state: PartitionState, batch: Batch, nowMs: number): BatchReply {
  const stranger = strangerOf(state, batch);
  if (stranger === 'LOST') return { status: 'lost' };
  if (stranger === 'UNKNOWN') return { status: 'unknown' };
  if (stranger === 'FENCED') return { status: 'fenced', last: state.joins.get(batch.incarnation)?.ended?.batch };
  const session = state.sessions.get(batch.incarnation) as Session;
  const { last } = session;
  if (batch.n === last + 1) {
    const recalled: Recalled = { bytes: 0 };
    const answers = batch.ops.map((op) => applyOne(state, batch.incarnation, op, nowMs, recalled));
    session.answersBefore = session.answers;
    session.answers = answers;
    session.last = batch.n;
    return { status: 'applied', answers };
  }
  if (batch.n === last && last > 0) return { status: 'applied', answers: session.answers };
  if (batch.n === last - 1 && last > 1) return { status: 'applied', answers: session.answersBefore };
  return batch.n > last ? { status: 'gap', last } : { status: 'stale' };
}

function applyOne(state: PartitionState, me: number, op: SessionOp, nowMs: number, recalled: Recalled): Answer {
  switch (op.op) {
    case 'append':
      return append(state, me, op, nowMs, recalled);
    case 'claim':
      return claim(state, me, op, nowMs);
    case 'begin':
      return begin(state, me, op, nowMs);
    case 'finish':
      return finish(state, me, op, nowMs);
    case 'retry':
      return retry(state, me, op, nowMs);
    case 'withdraw':
      return withdraw(state, op, nowMs);
    case 'release':
      return release(state, me, op, nowMs);
    case 'takeover':
      return takeover(state, op, nowMs);
    case 'late':
      return late(state, op);
    case 'expire':
      return expire(state, op, nowMs);
    case 'shed':
      return shed(state, op, nowMs);
  }
}

/** Applies an operation outside of any session. Each such operation is idempotent by its arguments. */
export function applyControl(state: PartitionState, op: ControlOp, nowMs: number): ControlAnswer {
  switch (op.op) {
    case 'join':
      return join(state, op, nowMs);
    case 'heartbeat':
      return heartbeat(state, op, nowMs);
    case 'leave':
      return leave(state, op);
    case 'evict':
      return evict(state, op, nowMs);
    case 'report':
      return report(state, op);
    case 'closeStore':
      return closeStore(state, op);
    case 'lead':
      return lead(state, op, nowMs);
    case 'replay':
      return replay(state, op, nowMs);
    case 'purge':
      return purge(state, op, nowMs);
    case 'members':
      return members(state, op, nowMs);
    case 'ready':
      return ready(state, op, nowMs);
    case 'owned':
      return owned(state, op);
    case 'lookup':
      return lookup(state, op);
    case 'letters':
      return letters(state, op);
    case 'schemas':
      return schemas(state, op);
    case 'entity':
      return entity(state, op);
    case 'history':
      return history(state, op);
    case 'survey':
      return survey(state);
    case 'counts':
      return counts(state);
    case 'audit':
      return audit(state, op);
  }
}
