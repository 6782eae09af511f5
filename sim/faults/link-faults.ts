/** What happens between nodes, and between them and the store. */
import type { Cluster } from '../cluster.js';
import type { Share, Weather } from '../conditions.js';
import type { FaultPlan } from '../plan.js';
import { type FaultKind, nothing } from './fault.js';

/** A window in which a share of what passes is hit, or all of it is late. */
const window = (kind: Share | 'netDelayMs' | 'storeDelayMs', shares: readonly number[], perRun = 2): FaultKind => ({
  kind: `${kind}Window`,
  excuses: false,
  perRun,
  draw: (chance) => ({ forMs: chance.int(500, 8000), amount: chance.pick(shares) }),
  begin(cluster, fault) {
    const { weather } = cluster;
    weather[kind] = fault.amount ?? 0;
    return () => {
      weather[kind] = 0;
    };
  },
});

const partitionOf = (kind: string, cut: (cluster: Cluster, node: string, others: readonly string[]) => void): FaultKind => ({
  kind,
  excuses: false,
  perRun: 1.5,
  draw: (chance, nodeTTLMs) => ({ forMs: chance.logBetween(100, nodeTTLMs * 5) }),
  begin(cluster, fault) {
    const { node = '' } = fault;
    const others = [...cluster.nodes.keys()].filter((n) => n !== node);
    if (others.length === 0) return undefined;
    const before = new Set(cluster.weather.cutPairs);
    cut(cluster, node, others);
    const added = [...cluster.weather.cutPairs].filter((pair) => !before.has(pair));
    cluster.fault(kind, 'begin', node, {});
    return () => {
      for (const pair of added) cluster.weather.cutPairs.delete(pair);
      cluster.fault(kind, 'end', node, {});
    };
  },
});

const fromStore: FaultKind = {
  kind: 'partitionStore',
  excuses: false,
  perRun: 3,
  // Most outlast the lease: what is shorter is a lost call or two, which other kinds bring.
  draw: (chance, nodeTTLMs) => ({ forMs: chance.logBetween(nodeTTLMs / 2, nodeTTLMs * 6) }),
  begin(cluster, { node = '' }) {
    if (cluster.weather.cutFromStore.has(node)) return undefined;
    cluster.cutStore(node);
    cluster.fault('partitionStore', 'begin', node, {});
    return () => {
      cluster.healStore(node);
      cluster.fault('partitionStore', 'end', node, {});
    };
  },
};

const fromPeers = partitionOf('partition', (cluster, node, others) => cluster.partition([node], others));

/** Cut off from everything: it hears nothing of what others decide meanwhile. */
const isolation: FaultKind = {
  ...fromStore,
  kind: 'isolation',
  begin(cluster, fault) {
    const ends = [fromPeers.begin(cluster, fault), fromStore.begin(cluster, fault)];
    if (ends.every((end) => end === undefined)) return undefined;
    return () => {
      for (const end of ends) end?.();
    };
  },
};

/** One node is far from the store, or its machine is busy. */
const slowStore: FaultKind = {
  kind: 'slowStore',
  excuses: false,
  perRun: 1.5,
  draw: (chance) => ({ forMs: chance.int(500, 6000), amount: chance.logBetween(5, 400) }),
  begin(cluster, { node = '', amount = 0 }) {
    if (cluster.weather.slowStore.has(node)) return undefined;
    cluster.slowStore(node, amount);
    cluster.fault('slowStore', 'begin', node, {});
    return () => {
      cluster.slowStore(node, 0);
      cluster.fault('slowStore', 'end', node, {});
    };
  },
};

const storeWide = (kind: string, longestMs: number, set: (weather: Weather, on: boolean) => void): FaultKind => ({
  kind,
  excuses: false,
  perRun: 1,
  draw: (chance) => ({ forMs: chance.logBetween(100, longestMs) }),
  begin(cluster) {
    set(cluster.weather, true);
    cluster.fault(kind, 'begin', 'store', {});
    return () => {
      set(cluster.weather, false);
      cluster.fault(kind, 'end', 'store', {});
    };
  },
});

const storeJump = (kind: string, excuses: boolean, jumps: readonly number[]): FaultKind => ({
  kind,
  excuses,
  perRun: 2,
  draw: (chance) => ({ forMs: 0, amount: chance.pick(jumps) }),
  begin(cluster, { amount = 0 }) {
    cluster.server.jumpMs += amount;
    cluster.fault('storeJump', 'once', 'store', { jumpMs: amount });
    return nothing;
  },
});

const storeLoss = (kind: string, lose: (cluster: Cluster, fault: FaultPlan) => boolean): FaultKind => ({
  kind,
  excuses: true,
  perRun: 1,
  draw: (chance) => ({ forMs: 0, amount: chance.logBetween(1, 60) }),
  begin(cluster, fault) {
    if (!lose(cluster, fault)) return undefined;
    cluster.storeLost = true;
    const { rememberedBy } = cluster.server;
    cluster.fault('storeLoss', 'once', 'store', { note: kind, ...(rememberedBy === undefined ? {} : { rememberedBy }) });
    return nothing;
  },
});

/** An operator looks at the dead letters and replays some. */
const replayLetters: FaultKind = {
  kind: 'replay',
  excuses: false,
  perRun: 2,
  draw: (chance) => ({ forMs: 0, amount: chance.int(0, 1) }),
  begin(cluster, { amount = 0 }) {
    const { server } = cluster;
    if (server.twin?.isApart === true) return undefined;
    const open = [...server.state.letters.values()].filter((l) => l.replayedAs === '').slice(0, 3);
    if (open.length === 0) return undefined;
    for (const { id } of open) {
      server.applyControl('operator', { op: 'replay', letter: id, force: amount === 1 });
      // Two operators at once: the second is refused.
      server.applyControl('operator', { op: 'replay', letter: id, force: amount === 1 });
    }
    return nothing;
  },
};

export const LINK_FAULTS: readonly FaultKind[] = [
  window('netLoss', [0.05, 0.3, 1]),
  window('netDouble', [0.1, 0.5]),
  window('netReorder', [0.2, 0.8]),
  window('netDelayMs', [20, 300, 2000, 6000]),
  window('requestLost', [0.02, 0.2]),
  window('replyLost', [0.02, 0.2, 0.5]),
  window('lateCopy', [0.05, 0.3]),
  window('scriptKilled', [0.05, 0.3]),
  window('storeReorder', [0.1, 0.5]),
  window('storeDelayMs', [10, 100, 700]),
  window('crashAfterApply', [0.01, 0.05], 1),
  window('crashBeforeApply', [0.01, 0.05], 1),
  { ...window('pauseAfterApply', [0.03, 0.2]), excuses: true },
  fromPeers,
  partitionOf('oneWay', (cluster, node, others) => {
    for (const other of others) cluster.oneWay(node, other);
  }),
  partitionOf('partitionPeers', (cluster, _node, others) => {
    for (const one of others) for (const other of others) if (one !== other) cluster.oneWay(one, other);
  }),
  fromStore,
  slowStore,
  isolation,
  storeWide('storeDown', 4000, (weather, on) => {
    weather.storeDown = on;
  }),
  storeWide('refuseOom', 5000, (weather, on) => {
    weather.refusing = on ? 'oom' : 'none';
  }),
  storeWide('refuseReadonly', 4000, (weather, on) => {
    weather.refusing = on ? 'readonly' : 'none';
  }),
  storeJump('storeJumpBack', false, [-10_000, -3000, -400, -50]),
  storeJump('storeJumpAhead', true, [50, 400, 3000, 60_000]),
  replayLetters,
];

/** Conditions of the store, of which only the nodes themselves can end the first two. Drawn from a stream of their own. */
export const STORE_CONDITIONS: readonly FaultKind[] = [
  {
    kind: 'storeFull',
    excuses: false,
    perRun: 2,
    draw: () => ({ forMs: 0 }),
    begin(cluster) {
      cluster.weather.full = true;
      cluster.fault('storeFull', 'once', 'store', {});
      return nothing;
    },
  },
  {
    kind: 'readyLost',
    excuses: false,
    perRun: 1,
    draw: () => ({ forMs: 0 }),
    begin: ({ server }) => (server.loseReady() ? nothing : undefined),
  },
  // It is there, and answers nothing else yet, as after a restart.
  storeWide('refuseAll', 4000, (weather, on) => {
    weather.refusing = on ? 'all' : 'none';
  }),
];

export const STORE_LOSSES: readonly FaultKind[] = [
  storeLoss('storeEmpty', (cluster) => {
    cluster.server.restartEmpty();
    return true;
  }),
  storeLoss('storeTail', (cluster, { amount = 1 }) => cluster.server.restartWithout(amount) > 0),
  // Mostly of all of them, as a snapshot from before a deployment has it.
  storeLoss('storeBeforeJoin', (cluster, { amount = 1 }) => cluster.server.restartBeforeJoins(amount % 3 === 0 ? 1 : 99)),
];
