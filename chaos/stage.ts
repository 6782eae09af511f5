/**
 * The verbs of a scenario: they apply faults to nodes, links and Redis while clients send. Faults that are still active at the
 * end are healed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin } from './admin.js';
import { hostMs, type WallClock } from './clock.js';
import type { Control } from './control.js';
import type { World } from './driver.js';
import type { FakeClocks } from './fake-clocks.js';
import { ASLEEP, type Faults } from './faults.js';
import type { Heal, Links, ToxicSpec } from './links.js';
import type { Monitor } from './monitor.js';
import type { Nodes } from './nodes.js';
import { SETTINGS } from './settings.js';
import type { StoreLog } from './store-log.js';

export interface StageParts {
  readonly names: readonly string[];
  readonly nodes: Nodes;
  readonly faults: Faults;
  readonly clocks: FakeClocks;
  readonly world: World;
  readonly links: Links;
  readonly control: Control;
  readonly admin: Admin;
  readonly storeLog: StoreLog;
  readonly openMonitor: () => Promise<Monitor>;
  readonly wall: WallClock;
  readonly signal: AbortSignal;
}

const LOOK_MS = 5000;
/** Observation that `lookForLoss` records. */
export const LINK_LOST = 'a link between nodes was lost';
/** Assumed time in ms from the send of a heartbeat to its arrival at Redis. The node counts its lease from the send. */
const HEARTBEAT_WAY_MS = 50;
const OCCUPY_MS = 3000;
/** Number of entities, enough that each node owns some. */
const OCCUPY_ENTITIES = 10;
const OCCUPY_TRIES = 5;

export class Stage {
  readonly names: readonly string[];
  readonly nodes: Nodes;
  /** Direct connection to Redis, past all proxies. */
  readonly admin: Admin;
  /** State of the log, derived from the commands that Redis ran. */
  readonly storeLog: StoreLog;
  private readonly faults: Faults;
  private monitor: Monitor | undefined;
  private sent = 0;

  constructor(private readonly parts: StageParts) {
    this.names = parts.names;
    this.nodes = parts.nodes;
    this.admin = parts.admin;
    this.storeLog = parts.storeLog;
    this.faults = parts.faults;
  }

  sleep(ms: number): Promise<unknown> {
    return sleep(ms, undefined, { signal: this.parts.signal });
  }

  // ---- nodes

  pause(name: string): Promise<Heal> {
    return this.faults.asleep(name, this.leaseLeftMs(name), async () => {
      const process = this.nodes.processOf(name);
      await process?.signal('SIGSTOP');
      return async () => process?.signal('SIGCONT');
    });
  }

  /** Freezes the control group of a node's container. */
  freeze(name: string): Promise<Heal> {
    return this.faults.asleep(name, this.leaseLeftMs(name), async () => {
      const thaw = await this.nodes.processOf(name)?.freeze?.();
      this.faults.once(ASLEEP, name);
      return async () => thaw?.();
    });
  }

  /** Returns how long the node's lease still lasts, in ms, computed from the heartbeats that Redis received. */
  leaseLeftMs(name: string): number {
    const { nodeTTLMs, leaseMarginMs } = SETTINGS;
    const heartbeatMs = this.parts.wall.toHostMs(this.storeLog.lastHeartbeatMs(name)) - HEARTBEAT_WAY_MS;
    return Math.max(0, heartbeatMs + nodeTTLMs - leaseMarginMs - hostMs());
  }

  /** Blocks the main loop of a node. The other threads of its process go on. */
  block(name: string, ms: number): void {
    this.faults.once(`loop blocked for ${ms} ms`, name);
    this.nodes.peer(name)?.tell({ kind: 'block', ms });
  }

  /** Takes the container of a node off its data network. */
  disconnect(name: string): Promise<Heal> {
    const { faults, nodes } = this;
    return faults.during('network disconnected', name, async () => (await nodes.processOf(name)?.disconnect?.()) as Heal);
  }

  jumpClock(name: string, seconds: number): void {
    this.parts.clocks.jump(name, seconds);
    this.faults.once(`wall clock ${seconds} s off`, name);
  }

  // ---- work

  /** Sends a message whose handler works for `ms`. A deaf handler ignores its abort signal. */
  send(via: string, entity: string, ms: number, how: 'ok' | 'deaf' = 'ok'): void {
    const job = { c: `stage-${++this.sent}`, op: 'deposit', amount: 1, ms, how } as const;
    void this.nodes.peer(via)?.call({ entity, job, how: 'enqueue', probe: false });
  }

  /**
   * Starts handlers on fenced accounts that work for seconds. Resolves with the account of one that runs on this node. Throws if
   * none starts there.
   */
  async occupy(name: string, how: 'ok' | 'deaf' = 'ok'): Promise<string> {
    const { readers } = this.parts.control;
    for (let tries = 0; tries < OCCUPY_TRIES; tries++) {
      const entities = Array.from({ length: OCCUPY_ENTITIES }, (_, i) => `fenced:busy-${this.sent}-${i}`);
      for (const entity of entities) this.send(name, entity, OCCUPY_MS, how);
      for (const endMs = performance.now() + OCCUPY_MS / 3; performance.now() < endMs; await this.sleep(5)) {
        const entity = entities.find((e) => readers.get(e) === name);
        if (entity !== undefined) return entity;
      }
    }
    throw new Error(`no handler started on ${name}`);
  }

  // ---- links

  redisToxic(names: readonly string[], spec: ToxicSpec, label = spec.type as string): Promise<Heal> {
    const { links } = this.parts;
    return this.faults.during(`redis link: ${label}`, names.join(' '), () => links.poison(this.redisLinks(names), spec));
  }

  redisDown(...names: readonly string[]): Promise<Heal> {
    const { links } = this.parts;
    return this.faults.during('redis link: down', names.join(' '), () => links.down(this.redisLinks(names)));
  }

  /** Adds a toxic to all links between these nodes. */
  peerToxic(names: readonly string[], spec: ToxicSpec, label = spec.type as string): Promise<Heal> {
    const { links } = this.parts;
    return this.faults.during(`peer links: ${label}`, names.join(' '), () => links.poison(this.pairsOf(names), spec));
  }

  peersDown(...names: readonly string[]): Promise<Heal> {
    const { links } = this.parts;
    return this.faults.during('peer links: down', names.join(' '), () => links.down(this.pairsOf(names)));
  }

  mute(from: string, to: string): Promise<Heal> {
    return this.faults.during(`peer link: nothing reaches ${to}`, from, () => this.parts.links.mute(from, to));
  }

  private redisLinks(names: readonly string[]): string[] {
    return names.map((name) => this.parts.links.redis(name));
  }

  private pairsOf(names: readonly string[]): string[] {
    return names.flatMap((a, i) => names.slice(i + 1).flatMap((b) => this.parts.links.pair(a, b)));
  }

  // ---- Redis

  /** Opens the monitor: from now on the history records what Redis does. */
  async watch(): Promise<void> {
    this.monitor = await this.parts.openMonitor();
  }

  redis(label: string, begin: (admin: Admin, world: World) => Promise<Heal>): Promise<Heal> {
    return this.faults.during(`redis: ${label}`, 'store', () => begin(this.admin, this.parts.world));
  }

  async redisOnce(label: string, act: (admin: Admin) => Promise<void>): Promise<void> {
    this.faults.once(`redis: ${label}`, 'store');
    await act(this.admin);
  }

  stopRedis(): Promise<Heal> {
    return this.redis('SIGSTOP', async (_, { store }) => {
      await store.signal('SIGSTOP');
      return () => store.signal('SIGCONT');
    });
  }

  /**
   * Ends Redis and starts it again on its data. Cuts the links first and waits until the monitor has reported everything up to
   * then, because a server does not report its last commands.
   */
  async restartRedis(signal: 'SIGTERM' | 'SIGKILL', downMs: number): Promise<void> {
    const { links, world } = this.parts;
    const up = await this.faults.during(`redis: restart (${signal})`, 'store', () => links.down(this.redisLinks(this.names)));
    await sleep(100);
    const seen = this.monitor?.seen(this.admin.nextMark());
    await this.admin.mark();
    await seen;
    this.monitor?.close();
    // A killed process loses nothing that it acknowledged: the kernel has the bytes, and only a power failure would lose them.
    await world.store.end(signal);
    await sleep(downMs);
    await world.store.start();
    await this.watch();
    await up();
  }

  // ---- observations

  /** Polls `isSo` for at most 5 s. Records the observation in the history once it holds. */
  async look(what: string, isSo: () => Promise<boolean>): Promise<void> {
    for (const endMs = performance.now() + LOOK_MS; performance.now() < endMs; await this.sleep(20)) {
      if (!(await isSo())) continue;
      this.faults.seen(what);
      return;
    }
  }

  /** Polls until one of the two nodes reports that its link to the other is down or suspect. */
  lookForLoss(a: string, b: string): Promise<void> {
    return this.look(LINK_LOST, async () => {
      const [ofA, ofB] = await Promise.all([this.nodes.peer(a)?.status(), this.nodes.peer(b)?.status()]);
      return [ofA?.links[b], ofB?.links[a]].some((link) => link === 'down' || link === 'suspect');
    });
  }

  // ---- the end

  /** Ends all active faults and starts every node that is down. */
  async heal(): Promise<void> {
    await this.faults.healAll();
    this.nodes.start(...this.names);
  }

  async end(withinMs: number): Promise<void> {
    await this.nodes.end(withinMs);
    this.monitor?.close();
  }

  abandon(): void {
    this.nodes.abandon();
    this.monitor?.close();
  }
}
