/**
 * Elects the master of a service group: the eligible live node with the lowest serverId. It leads for a limited time, under an
 * epoch that only grows. The master only advises (docs/decisions/013); no invariant of the log depends on it.
 */
import type { ControlAnswerOf, LeadOp } from './control-operations.js';
import { strangerOf } from './identity.js';
import { refuse } from './operations.js';
import type { MemberRecord, PartitionState } from './state.js';

/** The fields of a member that decide whether it can become master. */
interface Candidate {
  readonly incarnation: number;
  readonly serverId: string;
  readonly eligible: boolean;
  readonly unreachable: readonly number[];
}

/**
 * Picks the master: the lowest serverId among the eligible members that a majority of the others does not report as
 * unreachable. If there is no such member, picks the lowest serverId of all: a master that few can reach is better than none.
 *
 * `group`: the live members of the group that have handlers. A member that only sends has no entity to place and never leads
 * (docs/decisions/024). `lapsed`: incarnation of the last master, if its record lapsed; else 0. This member is not picked: its
 * lease may be in force, but it does not do the work of a master. Its event loop may be blocked (docs/decisions/026).
 */
export function candidateOf<C extends Candidate>(group: readonly C[], lapsed: number): C | undefined {
  const others = group.filter((m) => m.incarnation !== lapsed);
  const cutOff = cutOffIn(group);
  const eligible = others.filter((m) => m.eligible && !cutOff.has(m.incarnation));
  const from = eligible.length > 0 ? eligible : others;
  return from.reduce<C | undefined>(
    (lowest, m) => (lowest === undefined || m.serverId < lowest.serverId ? m : lowest),
    undefined,
  );
}

/**
 * Returns the incarnations that more than half of the others in the group report as unreachable. A lease in force does not show
 * that other nodes can reach the node. Makes one pass over the reports: a pass for each member would be quadratic in the members.
 */
function cutOffIn(group: readonly Candidate[]): ReadonlySet<number> {
  const reports = new Map<number, number>();
  for (const { incarnation: by, unreachable } of group)
    for (const other of new Set(unreachable)) if (other !== by) reports.set(other, (reports.get(other) ?? 0) + 1);
  return new Set([...reports].filter(([, count]) => count * 2 > group.length - 1).map(([incarnation]) => incarnation));
}

export function lead(state: PartitionState, op: LeadOp, nowMs: number): ControlAnswerOf['lead'] {
  const stranger = strangerOf(state, op);
  if (stranger !== undefined) return refuse(stranger);
  const me = state.members.get(op.incarnation) as MemberRecord;
  if (me.leaseUntilMs <= nowMs) return refuse('FENCED');
  const { leaderTtlMs, leaderDebounceMs } = state.settings;
  const leader = state.leaders.get(me.group);
  const inForce = leader !== undefined && leader.untilMs > nowMs;
  if (inForce && leader.incarnation !== op.incarnation) return refuse('LED', leader.incarnation);
  const isOfGroup = (m: MemberRecord): boolean => m.group === me.group && m.contracts.size > 0;
  const group = [...state.members.values()].filter((m) => !m.dead && m.leaseUntilMs > nowMs && isOfGroup(m));
  if (inForce) {
    const cutOff = cutOffIn(group);
    const others = group.filter((m) => m !== me && m.eligible && !cutOff.has(m.incarnation));
    // Sticky (docs/decisions/014): a lower serverId does not replace a working master. A master that is not eligible gives way to
    // an eligible member.
    const mayStay = (me.eligible && !cutOff.has(op.incarnation)) || others.length === 0;
    if (!mayStay) return refuse('NOT_LOWEST', candidateOf(others, 0)?.incarnation);
    leader.untilMs = nowMs + leaderTtlMs;
    return { ok: true, epoch: leader.epoch, untilMs: leader.untilMs };
  }
  const candidate = candidateOf(group, leader === undefined || leader.incarnation === op.incarnation ? 0 : leader.incarnation);
  if (candidate !== me) return refuse('NOT_LOWEST', candidate?.incarnation);
  // A join time in the future means that the clock was set back after the join. How long this member has waited is unknown, so it
  // does not wait any longer.
  const fromMs = me.joinedAtMs + leaderDebounceMs;
  if (me.joinedAtMs <= nowMs && fromMs > nowMs) return refuse('TOO_EARLY', fromMs);
  const record = { incarnation: op.incarnation, epoch: ++state.epoch, untilMs: nowMs + leaderTtlMs };
  state.leaders.set(me.group, record);
  return { ok: true, epoch: record.epoch, untilMs: record.untilMs };
}
