/**
 * Deletes one of the library's keys in Redis beneath the nodes, or one field of a key, as an operator's mistake or an eviction
 * does.
 */
import type { Plan } from '../plan.js';
import { Stream } from '../sim-random.js';
import { type FaultKind, nothing } from './fault.js';
import { STORE_LOSSES } from './link-faults.js';

/** Share of the seeds of the store `lua` that have faults. */
const SHARE = 0.12;
const FROM_MS = 1500;
/** In ms before the heal, so that the loss occurs among the other faults. */
const BEFORE_HEAL_MS = 300;

/** `amount` selects the key and the field. Drawn only if the scripts run, since the core has no keys. */
export const KEY_LOSS: FaultKind = {
  kind: 'keyLost',
  excuses: true,
  perRun: 1,
  draw: (chance) => ({ forMs: 0, amount: chance.int(0, 100_000) }),
  begin(cluster, { amount = 0 }) {
    const note = cluster.server.loseKey(amount);
    if (note === undefined) return undefined;
    cluster.fault('keyLost', 'once', 'store', { note });
    return nothing;
  },
};

/** Adds the loss of a key to some plans of the store `lua`. Returns all other plans as they are. */
export function withKeyLoss(plan: Plan): Plan {
  const chance = new Stream(plan.seed, 'key loss');
  const losesAll = plan.faults.some(({ kind }) => STORE_LOSSES.some((loss) => loss.kind === kind));
  if (plan.store !== 'lua' || plan.isCalm === true || plan.link?.isAlone === true || losesAll || !chance.chance(SHARE))
    return plan;
  // Several tries, since a key may be empty. Only the first try that finds a key deletes one.
  const faults = Array.from({ length: 3 }, () => ({
    atMs: chance.int(FROM_MS, plan.healAtMs - BEFORE_HEAL_MS),
    kind: KEY_LOSS.kind,
    ...KEY_LOSS.draw(chance, plan.settings.nodeTTLMs),
  }));
  return { ...plan, faults: [...plan.faults, ...faults].sort((a, b) => a.atMs - b.atMs) };
}
