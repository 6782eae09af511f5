/**
 * Who is master of a service group: the live node with the lowest serverId, for a time, under an epoch that only grows.
 * The master is advice; nothing here guards an invariant of the log.
 */
import type { ControlAnswerOf, LeadOp } from './control-operations.js';
import { refuse } from './operations.js';
import type { MemberRecord, PartitionState } from './state.js';

export function lead(state: PartitionState, op: LeadOp, nowMs: number): ControlAnswerOf['lead'] {
  const me = state.members.get(op.incarnation);
  if (me === undefined || me.dead || me.leaseUntilMs <= nowMs) return refuse('FENCED');
  const { leaderTtlMs, leaderDebounceMs } = state.settings;
  const leader = state.leaders.get(me.group);
  if (leader !== undefined && leader.untilMs > nowMs) {
    if (leader.incarnation !== op.incarnation) return refuse('LED', leader.incarnation);
    leader.untilMs = nowMs + leaderTtlMs;
    return { ok: true, epoch: leader.epoch, untilMs: leader.untilMs };
  }
  const lowest = lowestLive(state, me, nowMs);
  if (lowest !== me) return refuse('NOT_LOWEST', lowest.incarnation);
  if (me.joinedAtMs + leaderDebounceMs > nowMs) return refuse('TOO_EARLY', me.joinedAtMs + leaderDebounceMs);
  const record = { incarnation: op.incarnation, epoch: ++state.epoch, untilMs: nowMs + leaderTtlMs };
  state.leaders.set(me.group, record);
  return { ok: true, epoch: record.epoch, untilMs: record.untilMs };
}

function lowestLive(state: PartitionState, me: MemberRecord, nowMs: number): MemberRecord {
  let lowest = me;
  for (const m of state.members.values())
    if (!m.dead && m.leaseUntilMs > nowMs && m.group === me.group && m.serverId < lowest.serverId) lowest = m;
  return lowest;
}
