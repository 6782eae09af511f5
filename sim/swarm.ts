/**
 * Draws the plan of a run from one seed. Swarm testing (Groce et al., ISSTA 2012): each seed disables some kinds of fault and
 * weighs the others very differently, since a run with a few faults of every kind never explores any of them deeply.
 */
import { withThinLink } from './bandwidth.js';
import { withCrowd } from './crowd.js';
import { FAULTS } from './faults/faults.js';
import { withKeyLoss } from './faults/key-loss.js';
import { STORE_CONDITIONS, STORE_LOSSES } from './faults/link-faults.js';
import { withReopening } from './faults/reopening.js';
import { NAMES, TYPES } from './job.js';
import { type FaultPlan, NODES_MAX, type NodePlan, PLAN_VERSION, type Plan, type Settings, type StoreKind } from './plan.js';
import { Stream } from './sim-random.js';
import { drawMessages, type WorkloadShape } from './workload.js';

export interface SwarmOptions {
  /** Fixes the number of nodes. */
  readonly nodes?: number | undefined;
  readonly store?: StoreKind | undefined;
}

/** Share of seeds without any fault. */
const CALM_SHARE = 0.1;
/** Nodes of a seed without faults start within this time, in ms, so that most of its work reaches a settled cluster. */
const CALM_START_MS = 300;
/** Share of seeds in which an assumption of the invariants may be broken. */
const EXCUSING_SHARE = 0.4;
/** Of those, the share in which the store loses writes. Such a loss ends the group. */
const STORE_LOSS_SHARE = 0.15;
/** Share of faults that hit the node with most work. */
const AIMED_SHARE = 0.4;
/** Share of seeds in which faults overlap. */
const TOGETHER_SHARE = 0.4;
/** Share of seeds with each condition of the store. */
const CONDITION_SHARE = 0.25;
/** Share of seeds in which some nodes do not declare every message. */
const FEWER_NAMES_SHARE = 0.15;
/** Share of seeds in which dead letters have limits. */
const LETTER_LIMITS_SHARE = 0.2;
const FAULTS_FROM_MS = 800;

export function drawPlan(seed: number, options: SwarmOptions = {}): Plan {
  const shape = new Stream(seed, 'shape');
  const isCalm = new Stream(seed, 'calm').chance(CALM_SHARE);
  const drawn = drawNodes(shape, options.nodes).map((node) =>
    isCalm ? { ...node, startMs: node.startMs % CALM_START_MS } : node,
  );
  const limits = drawSettings(new Stream(seed, 'settings'));
  const faultsMs = shape.int(9000, 16_000);
  const excusing = shape.chance(EXCUSING_SHARE) && !isCalm;
  const messages = drawMessages(new Stream(seed, 'workload'), drawWorkload(shape, faultsMs, limits, excusing), drawn);
  const conditions = drawConditions(new Stream(seed, 'conditions'), limits, faultsMs);
  const faults = isCalm ? [] : [...drawFaults(new Stream(seed, 'faults'), drawn, limits, faultsMs, excusing), ...conditions];
  const gone = drawn.length > 1 && shape.chance(0.15) && !isCalm ? [shape.pick(drawn).name] : [];
  const typed = withTypes(new Stream(seed, 'types'), drawn, gone);
  // Nodes that lack a message pass it on, which takes longer than calm seeds allow.
  const nodes = isCalm ? typed : withNames(new Stream(seed, 'names'), typed, gone);
  const letters = new Stream(seed, 'dead letters');
  const deadLetters = letters.chance(LETTER_LIMITS_SHARE)
    ? { deadLetters: { max: letters.pick([0, 1, 2, 5]), ttl: letters.pick([0, 1, 4]) } }
    : {};
  const retention = drawRetention(new Stream(seed, 'retention'), faults);
  const settings = {
    ...limits,
    ...deadLetters,
    ...retention,
    workersMax: Math.max(limits.workersMax, workersForProbes(nodes, gone)),
  };
  const plan = withThinLink({
    version: PLAN_VERSION,
    seed,
    ...(options.store === 'lua' ? { store: options.store } : {}),
    nodes,
    settings,
    messages,
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    healAtMs: FAULTS_FROM_MS + faultsMs,
    gone,
    ...(isCalm ? { isCalm } : {}),
  });
  return withCrowd(withReopening(withKeyLoss(plan)));
}

function drawNodes(chance: Stream, fixed: number | undefined): NodePlan[] {
  const count = fixed ?? chance.pick([1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7]);
  const groups = chance.pick([1, 1, 1, 2, 3, 5]);
  return Array.from({ length: count }, (_, i) => ({
    name: `n${i + 1}`,
    startMs: chance.chance(0.8) ? chance.int(0, 300) : chance.int(0, 6000),
    group: `g${(i % groups) + 1}`,
  }));
}

/**
 * Lets service groups handle different types, so that calls cross groups. Some types belong to several groups, and some nodes
 * only send. Every node handles all types if a type would otherwise be left to nodes that never come back.
 */
function withTypes(chance: Stream, nodes: readonly NodePlan[], gone: readonly string[]): readonly NodePlan[] {
  const groups = [...new Set(nodes.map(({ group }) => group))];
  if (groups.length === 1) return nodes;
  const owners = new Map(TYPES.map((type) => [type, chance.chance(0.3) ? groups : [chance.pick(groups)]]));
  const sends = new Set(nodes.filter(() => chance.chance(0.15)).map(({ name }) => name));
  const split = nodes.map((node) => ({
    ...node,
    types: sends.has(node.name) ? [] : TYPES.filter((type) => owners.get(type)?.includes(node.group)),
  }));
  const stay = split.filter(({ name }) => !gone.includes(name));
  return TYPES.every((type) => stay.some(({ types }) => types.includes(type))) ? split : nodes;
}

/**
 * Lets some nodes lack one message, as versions of a service do in a rolling deploy. For all types of the nodes that lack the
 * message, a node remains that declares it and is not among the nodes that never come back.
 */
function withNames(chance: Stream, nodes: readonly NodePlan[], gone: readonly string[]): readonly NodePlan[] {
  if (nodes.length < 2 || !chance.chance(FEWER_NAMES_SHARE)) return nodes;
  const missing = chance.pick(NAMES);
  const older = new Set(nodes.filter(() => chance.chance(0.4)).map(({ name }) => name));
  const declare = nodes.filter(({ name }) => !older.has(name) && !gone.includes(name));
  const isDeclared = TYPES.every((type) => declare.some(({ types = TYPES }) => types.includes(type)));
  if (!isDeclared) return nodes;
  return nodes.map((node) => (older.has(node.name) ? { ...node, names: NAMES.filter((name) => name !== missing) } : node));
}

/**
 * Returns the least `maxTotalWorkers` of a node. The healed cluster is probed from every node at once, and members without
 * handlers add no worker capacity.
 */
function workersForProbes(nodes: readonly NodePlan[], gone: readonly string[]): number {
  const handlers = nodes.filter(({ name, types }) => !gone.includes(name) && types?.length !== 0).length;
  return Math.ceil(NODES_MAX / handlers);
}

/**
 * Draws the settings. Times are short, so that a simulated second holds much. Their proportions span those of real clusters and
 * beyond.
 */
function drawSettings(chance: Stream): Settings {
  const heartbeatMs = chance.logBetween(60, 400);
  const nodeTTLMs = Math.round(heartbeatMs * chance.between(3.2, 6));
  const leaseMarginMs = Math.round(nodeTTLMs * chance.pick([0.05, 0.1, 0.2]));
  const storeCallTimeoutMs = chance.logBetween(100, 1000);
  const maxAttempts = chance.pick([2, 3, 5]);
  return {
    heartbeatMs,
    nodeTTLMs,
    leaseMarginMs,
    takeoverHoldMs: chance.chance(0.5) ? nodeTTLMs : chance.logBetween(100, 3000),
    reconcileIntervalMs: chance.logBetween(200, 2000),
    leaderTTLMs: Math.round(nodeTTLMs * chance.between(1, 2)),
    leaderRenewalMs: heartbeatMs,
    leaderDebounceMs: chance.logBetween(20, 800),
    forwardHopsMax: chance.pick([1, 2, 3]),
    petitionsMax: chance.pick([1, 3, 50]),
    storeCallTimeoutMs,
    enqueueTimeoutMs: storeCallTimeoutMs + chance.logBetween(100, 4000),
    replyTimeoutMs: chance.logBetween(200, 5000),
    idleTimeoutMs: chance.logBetween(20, 5000),
    handlerTimeoutMs: chance.chance(0.5) ? 0 : chance.logBetween(50, 2000),
    shutdownGraceMs: chance.logBetween(50, 3000),
    cleanupIntervalMs: 5000,
    entryTTL: 86_400,
    resultTTL: 60,
    maxAttempts,
    backoffDelayMs: chance.logBetween(1, 500),
    onInterrupt: chance.pick(['dead-letter', 'retry'] as const),
    depthMax: chance.chance(0.3) ? chance.int(2, 12) : 0,
    depthMaxTotal: chance.chance(0.2) ? chance.int(10, 60) : 100_000,
    workersMax: chance.chance(0.2) ? chance.int(3, 12) : 10_000,
    concurrentHandlersMax: chance.chance(0.3) ? chance.int(1, 6) : 1000,
    onLeaseLost: chance.chance(0.2) ? 'exit' : 'rejoin',
  };
}

/**
 * Draws how long ended messages are kept, and how often the store is cleaned up. The retention of a caller's id outlasts its
 * resends. If the store's clock jumps ahead, the retention keeps its long default.
 */
function drawRetention(
  chance: Stream,
  faults: readonly FaultPlan[],
): Pick<Settings, 'cleanupIntervalMs' | 'entryTTL' | 'resultTTL'> {
  const jumps = faults.some(({ kind }) => kind === 'storeJumpAhead');
  const entryTTL = chance.pick([20, 30, 86_400]);
  return {
    cleanupIntervalMs: chance.logBetween(100, 20_000),
    entryTTL: jumps ? 86_400 : entryTTL,
    resultTTL: chance.pick([1, 5, 60]),
  };
}

function drawWorkload(chance: Stream, faultsMs: number, settings: Settings, excusing: boolean): WorkloadShape {
  const messages = chance.logBetween(130, 400);
  return {
    entities: chance.pick([4, 12, 20, 20, 24, 40]),
    messages,
    fromMs: 300,
    toMs: faultsMs,
    workMsMax: chance.logBetween(4, 400),
    longs: chance.pick([0, 0.1, 0.4]),
    longMs: [settings.nodeTTLMs, settings.nodeTTLMs * 6],
    lags: chance.pick([0, 0.4, 0.9]),
    // Within the take-over hold. A longer time would break an assumption.
    lagMsMax: Math.max(1, Math.round(settings.takeoverHoldMs * 0.9)),
    bad: chance.pick([0, 0.05, 0.2]),
    waits: chance.pick([0.1, 0.4, 0.8]),
    given: chance.pick([0, 0.2, 0.6]),
    sends: chance.pick([0, 0.1, 0.3]),
    asks: chance.pick([0, 0, 0.1]),
    doubles: chance.pick([0, 0, 0.2]),
    chainMax: chance.pick([1, 1, 2, 3]),
    // Handlers that outlive their signal break an assumption. Handlers that never end block their entity.
    deaf: excusing ? chance.pick([0, 0.1, 0.3]) : 0,
    dead: excusing ? chance.pick([0, 0, 0.01]) : 0,
  };
}

function drawFaults(
  chance: Stream,
  nodes: readonly NodePlan[],
  settings: Settings,
  faultsMs: number,
  excusing: boolean,
): FaultPlan[] {
  const faults: FaultPlan[] = [];
  const losses = new Set(STORE_LOSSES.map((f) => f.kind));
  const allows = (kind: (typeof FAULTS)[number]): boolean => !losses.has(kind.kind) && (excusing || !kind.excuses);
  for (const kind of FAULTS) {
    if (STORE_CONDITIONS.includes(kind)) continue;
    const isOn = chance.chance(0.45);
    const weight = chance.logBetween(1, 32) / 6;
    if (!isOn || !allows(kind)) continue;
    for (let n = Math.round(kind.perRun * weight * chance.between(0.5, 1.5)); n > 0; n--) {
      const atMs = FAULTS_FROM_MS + chance.int(0, faultsMs - 500);
      const drawn = kind.draw(chance, settings.nodeTTLMs);
      const forMs = Math.min(drawn.forMs, Math.max(1, FAULTS_FROM_MS + faultsMs - atMs));
      const where = { node: chance.pick(nodes).name, ...(chance.chance(AIMED_SHARE) ? { aims: true } : {}) };
      faults.push({ atMs, kind: kind.kind, ...where, ...drawn, forMs: drawn.forMs === 0 ? 0 : forMs });
    }
  }
  if (excusing && chance.chance(STORE_LOSS_SHARE)) {
    const kind = chance.pick(STORE_LOSSES);
    const atMs = FAULTS_FROM_MS + chance.int(1000, faultsMs - 500);
    faults.push({ atMs, kind: kind.kind, ...kind.draw(chance, settings.nodeTTLMs) });
  }
  const together = chance.chance(TOGETHER_SHARE) ? gathered(chance, faults, FAULTS_FROM_MS + faultsMs) : faults;
  return together.sort((a, b) => a.atMs - b.atMs);
}

function drawConditions(chance: Stream, settings: Settings, faultsMs: number): FaultPlan[] {
  return STORE_CONDITIONS.flatMap((kind) => {
    if (!chance.chance(CONDITION_SHARE)) return [];
    return Array.from({ length: chance.int(1, 2 * kind.perRun) }, () => {
      const atMs = FAULTS_FROM_MS + chance.int(0, faultsMs - 500);
      return { atMs, kind: kind.kind, ...kind.draw(chance, settings.nodeTTLMs) };
    });
  });
}

/** Makes faults overlap: moves half of the faults of a node into the duration of another fault, and to its node. */
function gathered(chance: Stream, faults: readonly FaultPlan[], endMs: number): FaultPlan[] {
  const lasting = faults.filter((f) => f.forMs > 0 && f.node !== undefined);
  if (lasting.length === 0) return [...faults];
  return faults.map((fault) => {
    if (fault.node === undefined || chance.chance(0.5)) return fault;
    const { node = '', atMs: fromMs, forMs } = chance.pick(lasting);
    const atMs = fromMs + chance.int(0, forMs);
    return { ...fault, node, aims: false, atMs, forMs: fault.forMs === 0 ? 0 : Math.min(fault.forMs, Math.max(1, endMs - atMs)) };
  });
}
