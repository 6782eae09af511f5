/** Steps on members: incarnations with leases by the store's clock. A dead incarnation never becomes live again. */
import type {
  CloseStoreOp,
  ControlAnswerOf,
  Counters,
  EvictOp,
  HeartbeatOp,
  JoinOp,
  LeaveOp,
  MembersAnswer,
  MembersOp,
  OwnedAnswer,
  OwnedOp,
  ReadyAnswer,
  ReadyOp,
  ReportOp,
  SchemasOp,
} from './control-operations.js';
import { rememberEnd, rememberJoin, strangerOf, unknownOf } from './identity.js';
import { type Done, refuse } from './operations.js';
import { AT_ONCE_MS, type EntityRecord, type MemberRecord, type PartitionState, sumWorkersMax } from './state.js';

/** The generation of a closed store. No session has it. An operator sets another one after checking the store. */
export const CLOSED = 'closed';

export function join(state: PartitionState, op: JoinOp, nowMs: number): ControlAnswerOf['join'] {
  if (state.schema !== 0 && state.schema !== op.schema) return refuse('SCHEMA', state.schema);
  if (state.generation === CLOSED) return refuse('CLOSED');
  const unknown = op.former === undefined ? undefined : unknownOf(state, op.former);
  if (unknown !== undefined) return refuse(unknown);
  const duplicate = liveMemberOf(state, op.serverId);
  if (duplicate !== undefined && duplicate.token !== op.token) return refuse('DUPLICATE_SERVER_ID', duplicate.incarnation);
  if (state.generation === '') {
    state.generation = op.generation;
    state.schema = op.schema;
  }
  const member = duplicate ?? enter(state, op, nowMs);
  const { incarnation, leaseUntilMs } = member;
  return { ok: true, incarnation, generation: state.generation, nowMs, leaseUntilMs, counters: countersOf(state) };
}

const countersOf = ({ incarnation, fence, epoch, letter }: PartitionState): Counters => ({ incarnation, fence, epoch, letter });

export function closeStore(state: PartitionState, op: CloseStoreOp): Done {
  if (state.generation === op.generation) state.generation = CLOSED;
  return { ok: true };
}

function enter(state: PartitionState, op: JoinOp, nowMs: number): MemberRecord {
  const { serverId, group, address, token, workersMax, settings, contracts, schemas = [] } = op;
  state.settings = settings;
  const member: MemberRecord = {
    incarnation: ++state.incarnation,
    serverId,
    group,
    address,
    token,
    joinedAtMs: nowMs,
    workersMax,
    contracts: new Map(contracts.map((c) => [c.type, c])),
    schemas: new Map(schemas.map(({ type, text }) => [type, text])),
    heartbeat: 0,
    leaseUntilMs: nowMs + settings.leaseTtlMs,
    dead: false,
    owns: 0,
    eligible: true,
    unreachable: [],
  };
  state.members.set(member.incarnation, member);
  rememberJoin(state, member.incarnation, token);
  sumWorkersMax(state);
  state.sessions.set(member.incarnation, { last: 0, answers: [], answersBefore: [] });
  return member;
}

function liveMemberOf(state: PartitionState, serverId: string): MemberRecord | undefined {
  for (const m of state.members.values()) if (!m.dead && m.serverId === serverId) return m;
  return undefined;
}

export function heartbeat(state: PartitionState, op: HeartbeatOp, nowMs: number): ControlAnswerOf['heartbeat'] {
  const { generation, incarnation, token, acknowledged } = op;
  const stranger = strangerOf(state, { generation, incarnation, token, lastHeartbeat: acknowledged });
  if (stranger !== undefined) return refuse(stranger);
  const member = state.members.get(incarnation) as MemberRecord;
  if (op.heartbeat <= member.heartbeat) return refuse('STALE_HEARTBEAT', member.heartbeat);
  member.heartbeat = op.heartbeat;
  member.leaseUntilMs = nowMs + state.settings.leaseTtlMs;
  return { ok: true, nowMs, leaseUntilMs: member.leaseUntilMs, counters: countersOf(state) };
}

export function report(state: PartitionState, op: ReportOp): ControlAnswerOf['report'] {
  const stranger = strangerOf(state, op);
  if (stranger !== undefined) return refuse(stranger);
  const member = state.members.get(op.incarnation) as MemberRecord;
  member.eligible = op.eligible;
  member.unreachable = op.unreachable;
  return { ok: true };
}

export function leave(state: PartitionState, op: LeaveOp): ControlAnswerOf['leave'] {
  const stranger = strangerOf(state, op);
  // The member has left already, or was evicted. For a member that leaves both mean success.
  if (stranger === 'FENCED') return { ok: true };
  if (stranger !== undefined) return refuse(stranger);
  const member = state.members.get(op.incarnation) as MemberRecord;
  if (member.owns > 0) return refuse('OWNS', member.owns);
  seal(state, member);
  return { ok: true };
}

export function evict(state: PartitionState, op: EvictOp, nowMs: number): ControlAnswerOf['evict'] {
  if (state.generation !== op.generation) return refuse('LOST');
  const member = state.members.get(op.incarnation);
  if (member === undefined) return { ok: true, count: 0 };
  if (!member.dead) {
    if (member.leaseUntilMs > nowMs) return refuse('NOT_LAPSED', member.leaseUntilMs);
    if (member.heartbeat !== op.heartbeatSeen) return refuse('BEATING', member.heartbeat);
    seal(state, member);
  }
  return { ok: true, count: member.owns };
}

/** Ends an incarnation. No batch of it applies from now on, whenever a copy of one arrives. */
function seal(state: PartitionState, member: MemberRecord): void {
  rememberEnd(state, member.incarnation);
  member.dead = true;
  sumWorkersMax(state);
  state.sessions.delete(member.incarnation);
  if (member.owns === 0) state.members.delete(member.incarnation);
}

export function members(state: PartitionState, op: MembersOp, nowMs: number): MembersAnswer {
  const list = [...state.members.values()].map((m) => ({
    incarnation: m.incarnation,
    serverId: m.serverId,
    group: m.group,
    address: m.address,
    heartbeat: m.heartbeat,
    leaseUntilMs: m.leaseUntilMs,
    dead: m.dead,
    owns: m.owns,
    types: [...m.contracts.keys()],
    eligible: m.eligible,
    unreachable: m.unreachable,
  }));
  const leaders = [...state.leaders].map(([group, { incarnation, epoch, untilMs }]) => ({ group, incarnation, epoch, untilMs }));
  leaders.sort((a, b) => a.epoch - b.epoch);
  list.sort((a, b) => a.incarnation - b.incarnation);
  const contracts = contractsAbove(state, op.contractsAbove ?? state.incarnation);
  return { ok: true, generation: state.generation, nowMs, members: list, leaders, contracts };
}

function contractsAbove(state: PartitionState, incarnation: number): MembersAnswer['contracts'] {
  const above = [...state.members.values()].filter((m) => m.incarnation > incarnation);
  above.sort((a, b) => a.incarnation - b.incarnation);
  return above.flatMap((m) => [...m.contracts.values()].map((contract) => ({ incarnation: m.incarnation, contract })));
}

export function schemas(state: PartitionState, op: SchemasOp): ControlAnswerOf['schemas'] {
  const text = state.members.get(op.incarnation)?.schemas.get(op.type);
  return text === undefined ? refuse('ABSENT') : { ok: true, text };
}

type Due = readonly [entity: string, atMs: number];

const inOrder = (a: Due, b: Due): number => a[1] - b[1] || (a[0] < b[0] ? -1 : 1);

export function ready(state: PartitionState, { after, max }: ReadyOp, nowMs: number): ReadyAnswer {
  const isBehind = after === '' ? () => true : behind(state, after);
  const page = leastOf(
    [...state.ready].filter((due) => due[1] <= nowMs && isBehind(due)),
    max,
  );
  const last = page.length === max ? page.at(-1) : undefined;
  const entities = page.map(([entity, atMs]) => ({
    entity,
    owner: (state.entities.get(entity) as EntityRecord).owner,
    sinceMs: atMs < 0 ? atMs + AT_ONCE_MS : atMs,
  }));
  return { ok: true, entities, next: last === undefined ? '' : `${last[1]} ${last[0]}` };
}

/** Returns the first `max` entries in order, without sorting all entries. */
function leastOf(dues: readonly Due[], max: number): readonly Due[] {
  let least: Due[] = [];
  /** At least `max` entries of `least` are not behind this one. */
  let last: Due | undefined;
  for (const due of dues) {
    if (last !== undefined && inOrder(due, last) > 0) continue;
    least.push(due);
    if (least.length < 2 * max) continue;
    least = least.sort(inOrder).slice(0, max);
    last = least.at(-1);
  }
  return least.sort(inOrder).slice(0, max);
}

/** Returns a test for entries behind `after`. If that entry is gone, all entries with the same time pass. */
function behind(state: PartitionState, after: string): (due: Due) => boolean {
  const space = after.indexOf(' ');
  const [atMs, entity] = [Number(after.slice(0, space)), after.slice(space + 1)];
  const isThere = state.ready.get(entity) === atMs;
  return ([key, time]) => time > atMs || (time === atMs && (!isThere || key > entity));
}

export function owned(state: PartitionState, op: OwnedOp): OwnedAnswer {
  const entities: string[] = [];
  for (const [key, rec] of state.entities) if (rec.owner === op.incarnation) entities.push(key);
  return { ok: true, cursor: '0', entities };
}
