/** What is sent and what its handler will do, drawn from a seed: the checkers know from it what must have happened. */
import type { Random } from '../../demo/random.js';

export type EntityTypeName = 'account' | 'order';

/** One message, with the messages that its handler sends in the same transaction. */
export interface Plan {
  /** The message's one name in the record, however often it is sent. */
  readonly ref: string;
  readonly type: EntityTypeName;
  readonly entityId: string;
  readonly workMs: number;
  /** 'flaky' throws on its first attempt. */
  readonly does: 'ok' | 'throw' | 'flaky';
  readonly sends: readonly Plan[];
}

/** What the app configures, and the checkers judge by. */
export const TYPES = {
  account: { maxAttempts: 1, onInterrupt: 'dead-letter', depthMax: 0 },
  order: { maxAttempts: 3, onInterrupt: 'retry', depthMax: 30 },
} as const;

const ACCOUNTS = 20;
const ORDERS = 10;
/** Part of the messages that go to one account, so that a kill finds a queue. */
const HOT = 0.15;

export const entityKey = (plan: Plan): string => `${plan.type}:${plan.entityId}`;

const accountId = (random: Random): string => (random.chance(HOT) ? 'a-0' : `a-${random.between(0, ACCOUNTS - 1)}`);

function workMsOf(random: Random): number {
  if (random.chance(0.08)) return 50;
  return random.chance(0.3) ? 0 : random.between(1, 10);
}

/** The ref of the message number `index` that the handler of `ref` sends; its id follows the same rule. */
export const sentRef = (ref: string, index: number): string => `${ref}/${index}`;

export function drawPlan(random: Random, ref: string, depth = 0): Plan {
  // What handlers send goes to accounts only: an order may be full, and then its sender fails whatever its handler did.
  const type = depth === 0 && random.chance(0.3) ? 'order' : 'account';
  const entityId = type === 'order' ? `o-${random.between(0, ORDERS - 1)}` : accountId(random);
  const count = depth < 2 && random.chance(0.2) ? random.between(1, 3) : 0;
  const sends = Array.from({ length: count }, (_, index) => drawPlan(random, sentRef(ref, index), depth + 1));
  return { ref, type, entityId, workMs: workMsOf(random), does: doesOf(random, type), sends };
}

function doesOf(random: Random, type: EntityTypeName): Plan['does'] {
  if (random.chance(0.05)) return 'throw';
  return type === 'order' && random.chance(0.15) ? 'flaky' : 'ok';
}
