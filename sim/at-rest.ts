/** What is left at the end of a run: of the log, of the store, and of the service groups. */
import type { EntityRecord, PartitionState } from '../src/core/log/state.js';
import type { StoreAtRest } from './history.js';
import type { SimNode } from './sim-node.js';

/** Returns the messages that are not terminal. */
export function liveIn({ entities }: PartitionState): readonly (readonly [entity: string, seq: number])[] {
  const live: [string, number][] = [];
  for (const [entity, { running, pending }] of entities) {
    if (running !== undefined) live.push([entity, running.seq]);
    for (const { seq } of pending) live.push([entity, seq]);
  }
  return live;
}

/** `dueMs`: everything due before this time of the store must have been cleaned up. `led`: the groups that had a master. */
export function storeAtRest(state: PartitionState, dueMs: number, led: readonly string[]): StoreAtRest {
  const isIdle = (rec: EntityRecord): boolean =>
    rec.owner === 0 && rec.running === undefined && rec.pending.length === 0 && rec.holdUntilMs < dueMs;
  return {
    members: membersIn(state),
    unwilling: unwillingIn(state),
    sessions: state.sessions.size,
    idleRecords: [...state.entities.values()].filter(isIdle).length,
    overdue: [...state.kept.values()].filter(({ expiresAtMs }) => expiresAtMs < dueMs).length,
    led,
  };
}

/** Returns the number of members that are not evicted. */
export const membersIn = ({ members }: PartitionState): number => [...members.values()].filter(({ dead }) => !dead).length;

/** Returns the number of members that handle something and are listed as taking no new work. */
export const unwillingIn = ({ members }: PartitionState): number =>
  [...members.values()].filter(({ dead, eligible, contracts }) => !dead && !eligible && contracts.size > 0).length;

/** Returns the groups whose master's record is in force. */
export const ledGroups = ({ leaders }: PartitionState, nowMs: number): readonly string[] =>
  [...leaders].filter(([, { untilMs }]) => untilMs > nowMs).map(([group]) => group);

/** Returns the service groups with a running node that handles at least one entity type. */
export const groupsOf = (nodes: Iterable<SimNode>): readonly string[] => [
  ...new Set([...nodes].filter((n) => n.handles && n.node?.status().state === 'running').map((n) => n.group)),
];
