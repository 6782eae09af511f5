/**
 * An operator empties the store and lets it be used again, while processes that have joined it are paused or cut off from it.
 * When they wake, other members have their incarnations. They must close themselves, and nothing else.
 */
import type { Plan } from '../plan.js';
import { Stream } from '../sim-random.js';
import type { FaultKind } from './fault.js';
import { KEY_LOSS } from './key-loss.js';
import { STORE_LOSSES } from './link-faults.js';

/** Share of the seeds that have faults and at least two nodes. */
const SHARE = 0.03;
const FROM_MS = 2000;
/** In ms before the heal, so that the new group gets some work while the former processes are there. */
const BEFORE_HEAL_MS = 3000;
const RESTART_MS = { from: 50, each: 150 };
/** Meaning of the bits of `amount`. */
const CHOICES = { cutOff: 1, isRestarted: 2, two: 4 } as const;

export const REOPENING: FaultKind = {
  kind: 'reopened',
  excuses: false,
  perRun: 1,
  draw: (chance, nodeTTLMs) => ({ forMs: chance.logBetween(nodeTTLMs / 2, nodeTTLMs * 6), amount: chance.int(0, 7) }),
  begin(cluster, { node, amount = 0 }) {
    const has = (choice: number): boolean => (amount & choice) !== 0;
    const serving = [...cluster.nodes.values()].filter((n) => n.isServing).map(({ name }) => name);
    const first = serving.find((name) => name === node) ?? serving[0];
    const rest = serving.filter((name) => name !== first);
    if (first === undefined || rest.length === 0) return undefined;
    const former = has(CHOICES.two) && rest.length > 1 ? [first, ...rest.slice(0, 1)] : [first];
    const ends = former.map((name) => {
      const { life } = cluster.node(name);
      if (has(CHOICES.cutOff)) cluster.cutStore(name);
      else cluster.pause(name);
      return () => {
        cluster.healStore(name);
        if (cluster.node(name).life === life) cluster.resume(name);
      };
    });
    cluster.reopen(former, has(CHOICES.isRestarted));
    const down = [...cluster.nodes.values()].filter(({ name, isUp }) => !isUp && !cluster.gone.has(name));
    down.forEach(({ name }, i) => {
      cluster.world.after(RESTART_MS.from + i * RESTART_MS.each, undefined, () => cluster.start(name));
    });
    return () => {
      for (const end of ends) end();
    };
  },
};

/** Adds a reopening to some plans. Returns all other plans as they are. */
export function withReopening(plan: Plan): Plan {
  const chance = new Stream(plan.seed, 'reopening');
  const { isCalm, link, faults, nodes, healAtMs, settings } = plan;
  const losses = [...STORE_LOSSES, KEY_LOSS].map(({ kind }) => kind);
  const losesAll = faults.some(({ kind }) => losses.includes(kind));
  if (isCalm === true || link?.isAlone === true || losesAll || nodes.length < 2 || !chance.chance(SHARE)) return plan;
  const atMs = chance.int(FROM_MS, healAtMs - BEFORE_HEAL_MS);
  const drawn = REOPENING.draw(chance, settings.nodeTTLMs);
  const fault = {
    ...drawn,
    atMs,
    kind: REOPENING.kind,
    node: chance.pick(nodes).name,
    forMs: Math.min(drawn.forMs, healAtMs - atMs),
  };
  return { ...plan, faults: [...faults, fault].sort((a, b) => a.atMs - b.atMs) };
}
