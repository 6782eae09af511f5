/** The processes that take part in a scenario, and how each proves itself to the store. */
import type { Contract, Identity, Remembered } from '../../src/core/log/control-operations.js';
import type { Batch } from '../../src/core/log/operations.js';

export interface NodeState {
  readonly serverId: string;
  readonly group: string;
  incarnation: number;
  heartbeat: number;
  n: number;
  token: number;
  sent: Batch[];
}

/** The third one handles nothing in every second life of its process, and else a type without messages. */
export function contractsOf({ serverId, token }: NodeState): readonly Contract[] {
  const isThird = serverId === 's-c';
  if (isThird && token % 2 === 1) return [];
  const order = { type: 'order', maxAttempts: 3, onInterrupt: 'dead-letter', depthMax: 7 } as const;
  return [
    {
      type: 'account',
      maxAttempts: 2,
      onInterrupt: 'retry',
      names: ['Deposit', 'Withdraw'],
      queries: ['Withdraw'],
      depthMax: 0,
      version: `v${token % 2}`,
    },
    { type: 'acc', maxAttempts: 2, onInterrupt: 'dead-letter', names: ['Dep', 'Deposit'], queries: ['Dep'], depthMax: 0 },
    { ...order, names: isThird ? [] : ['Deposit', 'Secret'], ...(serverId === 's-a' && { queries: ['Deposit'] }) },
  ];
}

/** The identity that a node's process sends; empty before its first join. */
export const identityOf = ({ incarnation, token, serverId }: NodeState): Identity => ({
  ...{ generation: 'g1', incarnation, token: tokenOf(serverId, token) },
});

export const tokenOf = (serverId: string, token: number): string => `t-${serverId}-${token}`;

/** As another process would: of another generation, with a number that was never given, or that another process holds or held. */
export function strange(me: Identity, x: number): Identity {
  const others: readonly Partial<Identity>[] = [
    { generation: 'another' },
    { incarnation: me.incarnation + 100 },
    { token: 'other' },
    { incarnation: me.incarnation + 1 },
  ];
  return { ...me, ...others[x % others.length] };
}

/** The member remembers mostly what the store holds, or less, and sometimes more. */
export function remembered({ heartbeat, n }: NodeState, me: Identity, x: number): Remembered {
  const more = x % 5 === 0 ? [1, 0] : x % 5 === 1 ? [0, 1] : [-2, -1];
  return { ...me, lastHeartbeat: Math.max(0, heartbeat + more[0]!), lastBatch: Math.max(0, n + more[1]!) };
}
