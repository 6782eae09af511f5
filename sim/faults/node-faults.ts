/** Faults of nodes: crash, restart, pause, drain, clocks. */
import type { Cluster } from '../cluster.js';
import { type FaultPlan, NODES_MAX } from '../plan.js';
import { type FaultKind, nothing } from './fault.js';

const nameOf = (fault: FaultPlan): string => fault.node ?? '';
const isUp = (cluster: Cluster, fault: FaultPlan): boolean => cluster.nodes.get(nameOf(fault))?.isUp === true;

const crash: FaultKind = {
  kind: 'crash',
  excuses: false,
  perRun: 2,
  draw: (chance) => ({ forMs: chance.logBetween(50, 6000) }),
  begin(cluster, fault) {
    if (!isUp(cluster, fault)) return undefined;
    const name = nameOf(fault);
    cluster.crash(name);
    return () => {
      if (!cluster.node(name).isUp && !cluster.gone.has(name)) cluster.start(name);
    };
  },
};

/** A rolling restart stops one node gracefully and starts it again. */
const rollingRestart: FaultKind = {
  kind: 'rollingRestart',
  excuses: false,
  perRun: 1,
  draw: (chance) => ({ forMs: chance.logBetween(500, 8000) }),
  begin(cluster, fault) {
    if (!isUp(cluster, fault) || cluster.node(nameOf(fault)).life?.paused === true) return undefined;
    const name = nameOf(fault);
    cluster.stop(name);
    return () => {
      if (cluster.node(name).isUp) cluster.crash(name);
      if (!cluster.gone.has(name)) cluster.start(name);
    };
  },
};

const pauseOf = (kind: string, excuses: boolean, suspended: boolean, span: (ttlMs: number) => [number, number]): FaultKind => ({
  kind,
  excuses,
  perRun: 1.5,
  draw: (chance, nodeTTLMs) => ({ forMs: chance.logBetween(...span(nodeTTLMs)) }),
  begin(cluster, fault) {
    const name = nameOf(fault);
    if (!isUp(cluster, fault) || cluster.node(name).life?.paused === true) return undefined;
    const { life } = cluster.node(name);
    cluster.pause(name, suspended);
    return () => {
      if (cluster.node(name).life === life) cluster.resume(name);
    };
  },
});

/** Clock drift within what the lease margin covers: the clocks of two nodes stay within 1 % of each other. */
const drift: FaultKind = {
  kind: 'drift',
  excuses: false,
  perRun: 2,
  draw: (chance) => ({ forMs: chance.int(2000, 15_000), amount: 1 + chance.between(-0.005, 0.005) }),
  begin: (cluster, fault) => setRate(cluster, fault),
};

const driftBeyond: FaultKind = {
  kind: 'driftBeyond',
  excuses: true,
  perRun: 1,
  draw: (chance) => ({ forMs: chance.int(1000, 6000), amount: chance.pick([0.5, 0.8, 0.9, 1.1, 1.5]) }),
  begin: (cluster, fault) => setRate(cluster, fault),
};

function setRate(cluster: Cluster, fault: FaultPlan): (() => void) | undefined {
  const name = nameOf(fault);
  const node = cluster.nodes.get(name);
  if (node === undefined || node.host.rate !== 1) return undefined;
  const { amount: rate = 1 } = fault;
  node.setRate(rate);
  cluster.fault('clock', 'begin', name, { rate });
  return () => {
    node.setRate(1);
    cluster.fault('clock', 'end', name, { rate });
  };
}

const wallJump: FaultKind = {
  kind: 'wallJump',
  excuses: false,
  perRun: 2,
  draw: (chance) => ({ forMs: 0, amount: chance.pick([-3_600_000, -5000, -700, 700, 5000, 3_600_000]) }),
  begin(cluster, fault) {
    const node = cluster.nodes.get(nameOf(fault));
    if (node === undefined) return undefined;
    node.host.wallOffsetMs += fault.amount ?? 0;
    cluster.fault('wallJump', 'once', node.name, { jumpMs: fault.amount ?? 0 });
    return nothing;
  },
};

/** Steps the wall clock repeatedly, as two time services that disagree do. */
const wallStorm: FaultKind = {
  kind: 'wallStorm',
  excuses: false,
  perRun: 1.5,
  draw: (chance, nodeTTLMs) => ({ forMs: chance.int(2000, 15_000), amount: chance.logBetween(nodeTTLMs, 100_000) }),
  begin(cluster, { node: name = '', amount = 0 }) {
    const node = cluster.nodes.get(name);
    if (node === undefined) return undefined;
    const chance = cluster.world.stream(`wall storm ${name}`);
    let isOver = false;
    const step = (): void => {
      if (isOver) return;
      node.host.wallOffsetMs += chance.pick([-amount, amount]);
      cluster.world.after(chance.int(50, 400), undefined, step);
    };
    step();
    cluster.fault('wallStorm', 'begin', name, { jumpMs: amount });
    return () => {
      isOver = true;
      cluster.fault('wallStorm', 'end', name, {});
    };
  },
};

/** Starts one more node. */
const join: FaultKind = {
  kind: 'join',
  excuses: false,
  perRun: 1,
  draw: () => ({ forMs: 0 }),
  begin(cluster, fault) {
    const name = `late-${fault.atMs}`;
    if (cluster.nodes.has(name) || cluster.nodes.size >= NODES_MAX || cluster.storeLost) return undefined;
    cluster.start(name);
    return nothing;
  },
};

/** Starts a second process with the serverId of a living one. It must not join while the first one lives. */
const twin: FaultKind = {
  kind: 'twin',
  excuses: false,
  perRun: 1,
  draw: (chance) => ({ forMs: chance.logBetween(500, 8000) }),
  begin(cluster, fault) {
    const name = nameOf(fault);
    const host = `twin-${name}`;
    if (!isUp(cluster, fault) || cluster.nodes.has(host) || cluster.storeLost) return undefined;
    const node = cluster.add({ name: host, startMs: cluster.world.nowMs, group: 'default', serverId: name });
    node.start();
    cluster.gone.add(host);
    return () => cluster.crash(host);
  },
};

export const NODE_FAULTS: readonly FaultKind[] = [
  crash,
  rollingRestart,
  pauseOf('pauseShort', false, false, (ttlMs) => [10, ttlMs * 0.3]),
  pauseOf('pauseLong', true, false, (ttlMs) => [ttlMs * 0.8, ttlMs * 5]),
  pauseOf('suspend', true, true, (ttlMs) => [ttlMs * 0.5, ttlMs * 5]),
  drift,
  driftBeyond,
  wallJump,
  wallStorm,
  join,
  twin,
];
