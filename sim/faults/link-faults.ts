/** Faults between nodes, and between nodes and the store. */
import type { Cluster } from '../cluster.js';
import type { Conditions, Share } from '../conditions.js';
import type { FaultPlan } from '../plan.js';
import { type FaultKind, nothing } from './fault.js';

/** A window in which a share of the messages or calls is hit, or in which all of them are late. */
const window = (kind: Share | 'netDelayMs' | 'storeDelayMs', shares: readonly number[], perRun = 2): FaultKind => ({
  kind: `${kind}Window`,
  excuses: false,
  perRun,
  draw: (chance) => ({ forMs: chance.int(500, 8000), amount: chance.pick(shares) }),
  begin(cluster, fault) {
    const { conditions } = cluster;
    conditions[kind] = fault.amount ?? 0;
    return () => {
      conditions[kind] = 0;
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
    const before = new Set(cluster.conditions.cutPairs);
    cut(cluster, node, others);
    const added = [...cluster.conditions.cutPairs].filter((pair) => !before.has(pair));
    cluster.fault(kind, 'begin', node, {});
    return () => {
      for (const pair of added) cluster.conditions.cutPairs.delete(pair);
      cluster.fault(kind, 'end', node, {});
    };
  },
});

const fromStore: FaultKind = {
  kind: 'partitionStore',
  excuses: false,
  perRun: 3,
  // Most last longer than the lease. A shorter one is a lost call or two, which other kinds cover.
  draw: (chance, nodeTTLMs) => ({ forMs: chance.logBetween(nodeTTLMs / 2, nodeTTLMs * 6) }),
  begin(cluster, { node = '' }) {
    if (cluster.conditions.cutFromStore.has(node)) return undefined;
    cluster.cutStore(node);
    cluster.fault('partitionStore', 'begin', node, {});
    return () => {
      cluster.healStore(node);
      cluster.fault('partitionStore', 'end', node, {});
    };
  },
};

const fromPeers = partitionOf('partition', (cluster, node, others) => cluster.partition([node], others));

/** Cuts a node off from everything. The node receives nothing of what other nodes decide meanwhile. */
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

/** Slows down one node's way to the store, as if the node were far away or its machine busy. */
const slowStore: FaultKind = {
  kind: 'slowStore',
  excuses: false,
  perRun: 1.5,
  draw: (chance) => ({ forMs: chance.int(500, 6000), amount: chance.logBetween(5, 400) }),
  begin(cluster, { node = '', amount = 0 }) {
    if (cluster.conditions.slowStore.has(node)) return undefined;
    cluster.slowStore(node, amount);
    cluster.fault('slowStore', 'begin', node, {});
    return () => {
      cluster.slowStore(node, 0);
      cluster.fault('slowStore', 'end', node, {});
    };
  },
};

const storeWide = (kind: string, longestMs: number, set: (conditions: Conditions, on: boolean) => void): FaultKind => ({
  kind,
  excuses: false,
  perRun: 1,
  draw: (chance) => ({ forMs: chance.logBetween(100, longestMs) }),
  begin(cluster) {
    set(cluster.conditions, true);
    cluster.fault(kind, 'begin', 'store', {});
    return () => {
      set(cluster.conditions, false);
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

/** An operator reads the dead letters and replays some. */
const replayLetters: FaultKind = {
  kind: 'replay',
  excuses: false,
  perRun: 2,
  draw: (chance) => ({ forMs: 0, amount: chance.int(0, 1) }),
  begin(cluster, { amount = 0 }) {
    const { server } = cluster;
    if (server.lockstep?.isApart === true) return undefined;
    const open = [...server.state.letters.values()].filter((l) => l.replayedAs === '').slice(0, 3);
    if (open.length === 0) return undefined;
    for (const { id } of open) {
      server.applyControl('operator', { op: 'replay', letter: id, force: amount === 1 });
      // A second operator at the same time. Its replay is refused.
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
  partitionOf('partitionOneway', (cluster, node, others) => {
    for (const other of others) cluster.partitionOneway(node, other);
  }),
  partitionOf('partitionPeers', (cluster, _node, others) => {
    for (const one of others) for (const other of others) if (one !== other) cluster.partitionOneway(one, other);
  }),
  fromStore,
  slowStore,
  isolation,
  storeWide('storeDown', 4000, (conditions, on) => {
    conditions.storeDown = on;
  }),
  storeWide('refuseOom', 5000, (conditions, on) => {
    conditions.refusing = on ? 'oom' : 'none';
  }),
  storeWide('refuseReadonly', 4000, (conditions, on) => {
    conditions.refusing = on ? 'readonly' : 'none';
  }),
  storeJump('storeJumpBack', false, [-10_000, -3000, -400, -50]),
  storeJump('storeJumpAhead', true, [50, 400, 3000, 60_000]),
  replayLetters,
];

/** Conditions of the store. Only the nodes can end the first two. Drawn from their own stream. */
export const STORE_CONDITIONS: readonly FaultKind[] = [
  {
    kind: 'storeFull',
    excuses: false,
    perRun: 2,
    draw: () => ({ forMs: 0 }),
    begin(cluster) {
      cluster.conditions.full = true;
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
  // The store is reachable, and returns nothing but this error, as while it loads after a restart.
  storeWide('refuseAll', 4000, (conditions, on) => {
    conditions.refusing = on ? 'all' : 'none';
  }),
];

export const STORE_LOSSES: readonly FaultKind[] = [
  storeLoss('storeEmpty', (cluster) => {
    cluster.server.restartEmpty();
    return true;
  }),
  storeLoss('storeTail', (cluster, { amount = 1 }) => cluster.server.restartWithout(amount) > 0),
  // Mostly the joins of all members, as in a snapshot from before a deployment.
  storeLoss('storeBeforeJoin', (cluster, { amount = 1 }) => cluster.server.restartBeforeJoins(amount % 3 === 0 ? 1 : 99)),
];
