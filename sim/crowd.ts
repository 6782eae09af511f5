/**
 * Hundreds of entities that make no progress, as in a rolling deploy: no node declares their messages until the relief node
 * starts. Meanwhile the nodes cannot reach each other, so only the sweep finds what other nodes send. The crowd fills more than
 * one page of the sweep, and must not hide those messages.
 */
import type { Cluster } from './cluster.js';
import { STORE_LOSSES } from './faults/link-faults.js';
import { type Job, NAMES, neverEnds, type Target, TYPES } from './job.js';
import { type CrowdPlan, NODES_MAX, type Plan, type Settings } from './plan.js';
import { Stream } from './sim-random.js';

const SHARE = 0.03;
/** A page of the sweep has 512 entities. */
const SIZE = { min: 520, max: 700 };
/** Only the relief node declares this message. */
const UNKNOWN: Job['op'] = 'withdraw';
const KNOWN = NAMES.filter((name) => name !== UNKNOWN);
/** Time in ms after which a node has forgotten which entities it handed off because it has no handler. */
const FORGOTTEN_MS = 10_000;
const STEP_MS = 20;

/** Adds a crowd to some plans in which no limit prevents it. Returns all other plans as they are. */
export function withCrowd(plan: Plan): Plan {
  const chance = new Stream(plan.seed, 'crowd');
  if (!chance.chance(SHARE) || !hasRoom(plan)) return plan;
  const group = chance.pick(plan.nodes).group;
  const crowd: CrowdPlan = { entities: chance.int(SIZE.min, SIZE.max), relief: { name: 'relief', startMs: 0, group } };
  const nodes = plan.nodes.map((node) => ({ ...node, names: KNOWN }));
  const messages = plan.messages.map((message) => ({ ...message, job: known(message.job) }));
  return { ...plan, nodes, messages, crowd };
}

function hasRoom({ nodes, settings, messages, faults, link, isCalm }: Plan): boolean {
  const isUnbounded = settings.depthMaxTotal > 2 * SIZE.max && settings.workersMax > 2 * SIZE.max;
  const isWhole = nodes.length < NODES_MAX && nodes.every(({ names }) => names === undefined);
  const isEndless = messages.some(({ job }) => neverEnds(job));
  // A lost reply is read back at a sweep, which must still find the result.
  const isKept = settings.resultTTL * 1000 > 3 * settings.reconcileIntervalMs;
  const losesAll = faults.some(({ kind }) => STORE_LOSSES.some((loss) => loss.kind === kind));
  return isUnbounded && isWhole && isKept && !isEndless && !losesAll && link === undefined && isCalm !== true;
}

/** Returns the job with a known message in place of the one that only the relief node declares. */
function known(job: Job): Job {
  const to = ({ entity, job: inner }: Target): Target => ({ entity, job: known(inner) });
  return {
    ...job,
    op: job.op === UNKNOWN ? 'deposit' : job.op,
    ...(job.sends && { sends: job.sends.map(to) }),
    ...(job.ask && { ask: to(job.ask) }),
  };
}

/**
 * Brings the crowd into a cluster at rest. The relief node, which declares the crowd's messages, is a member while they are sent,
 * since they would be refused otherwise, and crashes before it takes any. Then the links between the nodes are cut. Returns the
 * number of messages that wait.
 */
export function gather(cluster: Cluster, { entities, relief }: CrowdPlan, { nodeTTLMs, heartbeatMs }: Settings): number {
  cluster.add(relief);
  cluster.start(relief.name);
  const isUp = (name: string): boolean => cluster.node(name).node?.status().state === 'running';
  const [from] = [...cluster.nodes.keys()].filter((name) => name !== relief.name && isUp(name));
  if (from === undefined || !cluster.until(() => isUp(relief.name), 4 * nodeTTLMs, STEP_MS)) return cluster.depth;
  cluster.run(2 * heartbeatMs);
  cluster.cutStore(relief.name);
  for (let i = 0; i < entities; i++) {
    const job: Job = { c: `crowd-${i}`, op: UNKNOWN, amount: 0, ms: 1, how: 'ok' };
    cluster.call(from, `${TYPES[0]}:crowd-${i}`, job, { how: 'enqueue' });
  }
  cluster.run(STEP_MS);
  cluster.gone.add(relief.name);
  cluster.crash(relief.name);
  cluster.healStore(relief.name);
  cluster.run(2 * nodeTTLMs);
  const names = [...cluster.nodes.keys()];
  for (const name of names)
    cluster.partition(
      [name],
      names.filter((other) => other !== name),
    );
  return cluster.depth;
}

/** Heals the links, and starts the relief node, which declares the messages of the crowd. */
export function relieve(cluster: Cluster, { relief }: CrowdPlan): void {
  cluster.healLinks();
  cluster.gone.delete(relief.name);
  cluster.start(relief.name);
}

/** Waits until the nodes have forgotten the crowd. */
export const disperse = (cluster: Cluster, { reconcileIntervalMs }: Settings): void =>
  cluster.run(FORGOTTEN_MS + 2 * reconcileIntervalMs);
