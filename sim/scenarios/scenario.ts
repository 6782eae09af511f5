/** A named run that a person wrote: a script in the verbs of the cluster, and what must hold. */
import { placeOf } from '../../src/core/placement/rendezvous.js';
import type { PeerMessage } from '../../src/ports/network.js';
import type { TraceEvents } from '../../src/ports/trace.js';
import type { NodeOptions } from '../../src/runtime/node.js';
import type { Call } from '../client.js';
import { Cluster } from '../cluster.js';
import type { HistoryEvent } from '../history.js';
import type { EntityType } from '../job.js';
import type { Scripts } from '../lua/lockstep.js';
import type { Machine } from '../machine.js';
import type { Settings } from '../plan.js';
import { watched } from '../run.js';
import { adapterOf } from '../store-adapter.js';
import { World } from '../world.js';

export interface Scenario {
  readonly name: string;
  /** What the scenario shows, in one sentence. */
  readonly shows: string;
  readonly settings?: Partial<Settings>;
  /** The store may lose its tail. */
  readonly keepsLog?: boolean;
  /** Some fault stays until the end, so liveness is not checked. */
  readonly stays?: boolean;
  /** The timeline is recorded in test/golden. */
  readonly golden?: boolean;
  run(sim: Cluster, must: Must): void;
}

/** Records `what` as broken unless it holds. */
export type Must = (what: string, holds: boolean) => void;

const CALM: Settings = {
  heartbeatMs: 100,
  nodeTTLMs: 500,
  leaseMarginMs: 50,
  takeoverHoldMs: 500,
  reconcileIntervalMs: 300,
  leaderTTLMs: 600,
  leaderRenewalMs: 100,
  leaderDebounceMs: 200,
  forwardHopsMax: 3,
  petitionsMax: 50,
  storeCallTimeoutMs: 200,
  enqueueTimeoutMs: 1000,
  replyTimeoutMs: 3000,
  idleTimeoutMs: 1000,
  handlerTimeoutMs: 0,
  shutdownGraceMs: 1000,
  cleanupIntervalMs: 5000,
  entryTTL: 86_400,
  resultTTL: 60,
  maxAttempts: 3,
  backoffDelayMs: 50,
  onInterrupt: 'dead-letter',
  depthMax: 0,
  depthMaxTotal: 100_000,
  workersMax: 10_000,
  concurrentHandlersMax: 1000,
  onLeaseLost: 'rejoin',
};

const SEED = 1;

export interface Played {
  readonly history: readonly HistoryEvent[];
  /** Texts of the conditions that did not hold. */
  readonly broken: readonly string[];
}

/** What a canary replaces: the store machine, or the scripts in lockstep with it. Scripts need `loadStore('lua')` before. */
export interface Replaced {
  readonly machine?: Machine | undefined;
  readonly scripts?: Scripts | undefined;
}

export function playScenario(scenario: Scenario, drain: () => void, { machine, scripts }: Replaced = {}): Played {
  const { settings = {}, keepsLog = false, stays = false } = scenario;
  const sim = new Cluster({
    world: new World(SEED, drain),
    settings: { ...CALM, ...settings },
    keepsLog,
    ...(machine && { machine }),
    ...(scripts && { scripts, adapter: adapterOf('lua') }),
  });
  sim.hub.heard = (to, from, message) => {
    const { incarnation = 0 } = sim.nodes.get(to.host) ?? {};
    sim.history.add({ kind: 'told', node: to.host, incarnation, from: from.host, message });
  };
  const broken: string[] = [];
  watched(sim, () => {
    scenario.run(sim, (what, holds) => {
      if (!holds) broken.push(what);
    });
    if (stays) return;
    sim.heal();
    sim.until(() => sim.depth === 0, 20_000);
    sim.run(4000);
    sim.waitForGroups();
    sim.finish();
  });
  return { history: sim.history.events, broken };
}

// ---- questions about a run -------------------------------------------------------------------------------------------

type Of<K extends HistoryEvent['kind']> = HistoryEvent & { kind: K };

export const eventsOf = <K extends HistoryEvent['kind']>(sim: Cluster, kind: K): Of<K>[] =>
  sim.history.events.filter((e): e is Of<K> => e.kind === kind);

/** Call name of the message that makes the cluster place an entity. */
const WARM = 'warm';

/** Returns the calls whose handlers started for an entity, in start order. */
export const startedOn = (sim: Cluster, entity: string): string[] =>
  eventsOf(sim, 'start')
    .filter((e) => e.entity === entity && e.call !== WARM)
    .map((e) => e.call);

export const endOf = (sim: Cluster, call: Call): string | undefined => {
  const append = eventsOf(sim, 'append').find((e) => e.call === call.name);
  return eventsOf(sim, 'transition').find(
    (e) => e.entity === append?.entity && e.seq === append.seq && e.to !== 'dispatched' && e.to !== 'enqueued',
  )?.to;
};

/** Lets the cluster place the entity. Returns its owner and another node. Throws if it is not placed within 5 s. */
export function placed(sim: Cluster, entity: string): { readonly owner: string; readonly other: string } {
  const names = [...sim.nodes.keys()];
  const call = sim.send(names[0] as string, entity, { c: WARM, op: 'read', ms: 1 }, { how: 'wait' });
  if (!sim.until(() => call.outcome === 'ok', 5000, 10)) throw new Error(`${entity} was not placed: ${call.code}`);
  const owner = eventsOf(sim, 'start').find((e) => e.call === WARM)?.node as string;
  return { owner, other: names.find((n) => n !== owner) ?? owner };
}

/** Starts two nodes and lets them place the entity. Returns and throws as `placed` does. */
export function placedOnTwo(sim: Cluster, entity: string): ReturnType<typeof placed> {
  sim.start('n1', 'n2');
  sim.run(1000);
  return placed(sim, entity);
}

export const hasState = (sim: Cluster, node: string, state: Of<'node'>['state']): boolean =>
  eventsOf(sim, 'node').some((e) => e.node === node && e.state === state);

/** Returns an entity whose preferred node is `node` while all of `names` serve. */
export function entityOf(node: string, names: readonly string[], type: EntityType = 'plain'): string {
  const places = names.map((serverId, i) => ({ incarnation: i + 1, serverId }));
  for (let i = 0; ; i++) {
    const entity = `${type}:${i}`;
    if (placeOf(entity, places)?.serverId === node) return entity;
  }
}

/** Returns the options of that node's runtime. They hold the ports that a scenario may replace. */
export const optionsOf = (sim: Cluster, name: string): NodeOptions => Reflect.get(sim.node(name).node as object, 'options');

/** Returns a list that collects the names of the trace events of that node from now on. */
export function reportsOf(sim: Cluster, name: string): readonly (keyof TraceEvents)[] {
  const reports: (keyof TraceEvents)[] = [];
  sim.traced = (node, event) => {
    if (node === name) reports.push(event);
  };
  return reports;
}

/** Returns the node that acts as master and has rebuilt its assignment table; undefined if there is none. */
export const masterOf = (sim: Cluster): string | undefined =>
  [...sim.nodes.values()].find((n) => n.node?.status().role === 'master')?.name;

/** Returns the peer messages of one kind that reached that node. */
export const toldTo = <K extends PeerMessage['kind']>(sim: Cluster, node: string, kind: K): (PeerMessage & { kind: K })[] =>
  eventsOf(sim, 'told')
    .filter((e) => e.node === node && e.message.kind === kind)
    .map((e) => e.message as PeerMessage & { kind: K });
