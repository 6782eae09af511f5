/**
 * Who is master of a service group: the eligible live node with the lowest serverId, for a time, under an epoch that only
 * grows. The master is advice; nothing here guards an invariant of the log.
 */
import type { ControlAnswerOf, LeadOp } from './control-operations.js';
import { strangerOf } from './identity.js';
import { refuse } from './operations.js';
import type { MemberRecord, PartitionState } from './state.js';

/** What eligibility is judged by. */
interface Candidate {
  readonly incarnation: number;
  readonly serverId: string;
  readonly eligible: boolean;
  readonly unreachable: readonly number[];
}

/**
 * Whom a group shall follow: the lowest serverId among those that want to lead and that not most of the others report
 * unreachable. If nobody is left, the lowest of all: a master that few can reach is better than none. `group`: its live members
 * that handle something; who only sends has nothing to place and leads nobody. `lapsed`: who led last and let its record lapse,
 * 0 for nobody: it is passed over, for it does not do what a master does, whatever its lease says (its loop may be blocked).
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
 * Returns the incarnations that more than half of the others in the group report unreachable. A registration that is kept fresh says nothing
 * about whether other nodes can call the node. One pass over the reports: a pass for each member would be quadratic in the members.
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
    // Sticky: a lower id does not topple a working master, but one that is not eligible makes way for one that is.
    const mayStay = (me.eligible && !cutOff.has(op.incarnation)) || others.length === 0;
    if (!mayStay) return refuse('NOT_LOWEST', candidateOf(others, 0)?.incarnation);
    leader.untilMs = nowMs + leaderTtlMs;
    return { ok: true, epoch: leader.epoch, untilMs: leader.untilMs };
  }
  const candidate = candidateOf(group, leader === undefined || leader.incarnation === op.incarnation ? 0 : leader.incarnation);
  if (candidate !== me) return refuse('NOT_LOWEST', candidate?.incarnation);
  // A member that joined in the future did so before the clock was set back, and has waited for as long as anybody knows.
  const fromMs = me.joinedAtMs + leaderDebounceMs;
  if (me.joinedAtMs <= nowMs && fromMs > nowMs) return refuse('TOO_EARLY', fromMs);
  const record = { incarnation: op.incarnation, epoch: ++state.epoch, untilMs: nowMs + leaderTtlMs };
  state.leaders.set(me.group, record);
  return { ok: true, epoch: record.epoch, untilMs: record.untilMs };
}
