/** The verbs of a scenario: what is done to nodes, links and Redis. Every fault is told to the history, and healed at the end. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endsWithin } from '../demo/ends-within.js';
import type { FaultEvent } from '../sim/history.js';
import type { Admin } from './admin.js';
import { hostMs, type WallClock } from './clock.js';
import type { Control, Peer } from './control.js';
import type { Process, World } from './driver.js';
import type { Heal, Links, ToxicSpec } from './links.js';
import { Monitor } from './monitor.js';
import { SETTINGS } from './settings.js';
import type { StoreLog, Tell } from './store-log.js';
import { type NodeOptions, serverIdOf } from './wire.js';

export interface StageParts {
  readonly names: readonly string[];
  readonly world: World;
  readonly links: Links;
  readonly control: Control;
  readonly admin: Admin;
  readonly storeLog: StoreLog;
  readonly openMonitor: () => Promise<Monitor>;
  readonly wall: WallClock;
  readonly nowMs: () => number;
  readonly originMs: number;
  readonly tell: Tell;
  readonly pubsub: boolean;
  /** What has to be preloaded to jump the wall clock of a node; undefined: nothing. */
  readonly faketime: string | undefined;
  readonly dir: string;
  readonly signal: AbortSignal;
}

interface Actor {
  process: Process | undefined;
  /** How often another server has taken the place. */
  again: number;
  run: number;
  paused: boolean;
  /** We ended it. */
  ending: boolean;
  /** It is to be up. */
  wanted: boolean;
  startedMs: number;
}

const RESTART_MS = 500;
const READY_MS = 40_000;
const LINKED_MS = 10_000;
/** In good order, with a grace of 5 s. */
const STOP_MS = 15_000;
/** After a SIGKILL. */
const GONE_MS = 10_000;
const LOOK_MS = 5000;
/** What a look at links may find. */
export const LINK_LOST = 'a link between nodes was lost';
/** How a node says that it could not start. */
const START_FAILED = 3;
/** What the way of a beat takes: the node counts its lease from when it was sent. */
const BEAT_WAY_MS = 50;
const OCCUPY_MS = 3000;
/** Enough that each node gets some. */
const OCCUPY_ENTITIES = 10;
const OCCUPY_TRIES = 5;

export class Stage {
  readonly names: readonly string[];
  private readonly actors = new Map<string, Actor>();
  private readonly heals = new Set<Heal>();
  private monitor: Monitor | undefined;
  private runs = 0;
  private sent = 0;
  private openFaults = 0;
  private faultEndedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: StageParts) {
    this.names = parts.names;
    for (const name of parts.names)
      this.actors.set(name, { process: undefined, again: 0, run: 0, paused: false, ending: false, wanted: false, startedMs: 0 });
  }

  /** How many batches came to Redis once more after they had been applied. */
  get copies(): number {
    return this.parts.storeLog.copies;
  }

  /** Redis as its operator sees it. */
  get admin(): Admin {
    return this.parts.admin;
  }

  sleep(ms: number): Promise<unknown> {
    return sleep(ms, undefined, { signal: this.parts.signal });
  }

  // ---- nodes

  private actor(name: string): Actor {
    const actor = this.actors.get(name);
    if (actor === undefined) throw new Error(`there is no node ${name}`);
    return actor;
  }

  async watch(): Promise<void> {
    this.monitor = await this.parts.openMonitor();
  }

  start(...names: readonly string[]): void {
    for (const name of names) this.boot(name);
  }

  /** Another server at the same place. */
  startAnew(name: string): void {
    this.actor(name).again++;
    this.boot(name);
  }

  /** The node that was last made master; its name may be that of nobody any more. */
  get master(): string {
    return this.parts.storeLog.master;
  }

  private boot(name: string): void {
    const actor = this.actor(name);
    actor.wanted = true;
    if (actor.process !== undefined) return;
    const { world, originMs, pubsub } = this.parts;
    const run = ++this.runs;
    const place = world.placeOf(name);
    const file = `node-${String(run).padStart(3, '0')}-${name}.jsonl`;
    const options: NodeOptions = {
      ...place,
      ...{
        name,
        serverId: serverIdOf(name, actor.again),
        run,
        originMs,
        settings: SETTINGS,
        keyPrefix: 'chaos',
        recordPath: join(place.recordPath, file),
      },
      grpc: pubsub ? undefined : place.grpc,
    };
    const process = world.spawn(options, this.clockOf(name));
    Object.assign(actor, { process, run, ending: false, paused: false, startedMs: hostMs() });
    void process.exited.then((code) => this.exited(name, run, code));
  }

  private exited(name: string, run: number, code: number | null): void {
    const actor = this.actor(name);
    if (actor.run !== run) return;
    const { stderr } = actor.process as Process;
    actor.process = undefined;
    const why = code === null ? 'killed' : `exit ${code}`;
    this.tell({ kind: 'node', node: name, incarnation: 0, state: actor.ending ? 'crashed' : 'exited', why });
    // Without its store, or cut off, a node may give up to start; no fault ends one that runs.
    const wasHindered = this.openFaults > 0 || this.faultEndedMs >= actor.startedMs;
    if (!actor.ending && !(code === START_FAILED && wasHindered))
      this.tell({ kind: 'defect', node: name, incarnation: 0, what: `${name} ended by itself (${why}): ${stderr.slice(-600)}` });
    if (!actor.ending && actor.wanted) setTimeout(() => actor.wanted && this.boot(name), RESTART_MS).unref();
  }

  /** Undefined until the process that runs now has said hello. */
  peer(name: string): Peer | undefined {
    const peer = this.parts.control.peers.get(name);
    return peer?.run === this.actor(name).run ? peer : undefined;
  }

  isReady(name: string): boolean {
    return this.peer(name)?.ready === true;
  }

  async ready(...names: readonly string[]): Promise<void> {
    for (const endMs = performance.now() + READY_MS; !names.every((n) => this.isReady(n)); await this.sleep(20)) {
      if (performance.now() > endMs) throw new Error(`${names.filter((n) => !this.isReady(n)).join(', ')} did not start`);
    }
  }

  /** Resolves when every node has a link to every other. */
  async linked(): Promise<void> {
    const missing = async (): Promise<string[]> => {
      const all = await Promise.all(this.names.map((name) => this.peer(name)?.status()));
      const isUp = (from: number, to: string): boolean => from === this.names.indexOf(to) || all[from]?.links[to] === 'up';
      return this.names.flatMap((from, i) => this.names.filter((to) => !isUp(i, to)).map((to) => `${from} to ${to}`));
    };
    for (const endMs = performance.now() + LINKED_MS; ; await this.sleep(50)) {
      const links = await missing();
      if (links.length === 0) return;
      if (performance.now() > endMs) throw new Error(`there is no link from ${links.join(', ')}`);
    }
  }

  /** kill -9; it stays down until it is started. */
  async kill(...names: readonly string[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        const actor = this.actor(name);
        Object.assign(actor, { ending: true, wanted: false });
        this.fault('kill -9', 'once', name);
        const { process } = actor;
        await process?.signal('SIGKILL');
        if (process !== undefined && !(await endsWithin(process.exited, GONE_MS)))
          throw new Error(`${name} lives ${GONE_MS} ms after kill -9`);
      }),
    );
  }

  /** SIGTERM's way: drain, hand off, leave. Resolves when the process is gone. */
  async stop(name: string): Promise<void> {
    const actor = this.actor(name);
    Object.assign(actor, { ending: true, wanted: false });
    this.fault('graceful stop', 'once', name);
    await this.close(name, STOP_MS);
  }

  /** A process that does not end in good order is a defect, and killed. */
  private async close(name: string, withinMs: number): Promise<void> {
    const { process } = this.actor(name);
    if (process === undefined) return;
    this.peer(name)?.tell({ kind: 'close' });
    if (await endsWithin(process.exited, withinMs)) return;
    this.tell({ kind: 'defect', node: name, incarnation: 0, what: `${name} did not close within ${withinMs} ms` });
    await process.signal('SIGKILL');
    await endsWithin(process.exited, GONE_MS);
  }

  async pause(name: string): Promise<Heal> {
    const actor = this.actor(name);
    this.pauseBegins(name);
    actor.paused = true;
    await actor.process?.signal('SIGSTOP');
    return this.healing(async () => {
      // Told first: what the node does when it wakes must not look as if it slept.
      this.fault('pause', 'end', name);
      if (actor.paused) await actor.process?.signal('SIGCONT');
      actor.paused = false;
    });
  }

  /** By the beats that Redis has taken. */
  leaseLeftMs(name: string): number {
    const { storeLog, wall } = this.parts;
    const { nodeTTLMs, leaseMarginMs } = SETTINGS;
    const beatMs = wall.toHostMs(storeLog.lastBeatMs(name)) - BEAT_WAY_MS;
    return Math.max(0, beatMs + nodeTTLMs - leaseMarginMs - hostMs());
  }

  private pauseBegins(name: string): void {
    this.fault('pause', 'begin', name, { leaseLeftMs: this.leaseLeftMs(name) });
  }

  /** The main loop stands still; the threads of the process go on. */
  block(name: string, ms: number): void {
    this.fault(`loop blocked for ${ms} ms`, 'once', name);
    this.peer(name)?.tell({ kind: 'block', ms });
  }

  /** Of a container: its control group is frozen. */
  async freeze(name: string): Promise<Heal> {
    this.pauseBegins(name);
    const thaw = await this.actor(name).process?.freeze?.();
    return this.healing(async () => {
      this.fault('pause', 'end', name);
      await thaw?.();
    });
  }

  /** Of a container: it is taken off its data network. */
  async disconnect(name: string): Promise<Heal> {
    return this.during('network disconnected', name, async () => (await this.actor(name).process?.disconnect?.()) as Heal);
  }

  // ---- clocks

  private clockFile(name: string): string {
    return join(this.parts.dir, `${name}.clock`);
  }

  /** The wall clock is libfaketime's, and follows a file; the monotonic one stays the host's. */
  private clockOf(name: string): Readonly<Record<string, string>> {
    const { faketime } = this.parts;
    if (faketime === undefined) return {};
    writeFileSync(this.clockFile(name), '+0\n');
    const follow = { FAKETIME_TIMESTAMP_FILE: this.clockFile(name), FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    return { LD_PRELOAD: faketime, ...follow };
  }

  jumpClock(name: string, seconds: number): void {
    writeFileSync(this.clockFile(name), `${seconds < 0 ? '' : '+'}${seconds}\n`);
    this.fault(`wall clock ${seconds} s off`, 'once', name);
  }

  // ---- work

  /** Sends a message whose handler works for that long; a deaf one works on whatever its signal says. */
  send(via: string, entity: string, ms: number, how: 'ok' | 'deaf' = 'ok'): void {
    const job = { c: `stage-${++this.sent}`, op: 'deposit', amount: 1, ms, how } as const;
    void this.peer(via)?.call({ entity, job, how: 'enqueue', probe: false });
  }

  /** Resolves when a handler that works for seconds, on a fenced account, runs on that node: answers the account. */
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
    const targets = names.map((name) => links.redis(name));
    return this.during(`redis link: ${label}`, names.join(' '), () => links.poison(targets, spec));
  }

  redisDown(...names: readonly string[]): Promise<Heal> {
    const { links } = this.parts;
    const targets = names.map((name) => links.redis(name));
    return this.during('redis link: down', names.join(' '), () => links.down(targets));
  }

  /** On all links between the pairs of these nodes. */
  peerToxic(names: readonly string[], spec: ToxicSpec, label = spec.type as string): Promise<Heal> {
    const { links } = this.parts;
    return this.during(`peer links: ${label}`, names.join(' '), () => links.poison(this.pairsOf(names), spec));
  }

  peersDown(...names: readonly string[]): Promise<Heal> {
    const { links } = this.parts;
    return this.during('peer links: down', names.join(' '), () => links.down(this.pairsOf(names)));
  }

  mute(from: string, to: string): Promise<Heal> {
    return this.during(`peer link: nothing reaches ${to}`, from, () => this.parts.links.mute(from, to));
  }

  private pairsOf(names: readonly string[]): string[] {
    return names.flatMap((a, i) => names.slice(i + 1).flatMap((b) => this.parts.links.pair(a, b)));
  }

  // ---- Redis

  redis(label: string, begin: (admin: Admin, world: World) => Promise<Heal>): Promise<Heal> {
    return this.during(`redis: ${label}`, 'store', () => begin(this.parts.admin, this.parts.world));
  }

  async redisOnce(label: string, act: (admin: Admin) => Promise<void>): Promise<void> {
    this.fault(`redis: ${label}`, 'once', 'store');
    await act(this.parts.admin);
  }

  stopRedis(): Promise<Heal> {
    return this.redis('SIGSTOP', async (_, { store }) => {
      await store.signal('SIGSTOP');
      return () => store.signal('SIGCONT');
    });
  }

  /**
   * Ends Redis and starts it again on its data. The links are cut just before, and all that it did until then is seen by the
   * monitor: what a server does in its last moment is reported to nobody.
   */
  async restartRedis(signal: 'SIGTERM' | 'SIGKILL', downMs: number): Promise<void> {
    const { links, world, admin } = this.parts;
    this.fault(`redis: restart (${signal})`, 'begin', 'store');
    const up = await links.down(this.names.map((name) => links.redis(name)));
    await sleep(100);
    const seen = this.monitor?.seen(admin.nextMark());
    await admin.mark();
    await seen;
    this.monitor?.close();
    // A killed process loses nothing of what it has answered: the kernel has it, and only the power must stay on.
    await world.store.end(signal);
    await sleep(downMs);
    await world.store.start();
    await this.watch();
    await up();
    this.fault(`redis: restart (${signal})`, 'end', 'store');
  }

  // ---- faults

  /** Looks until it is so, and tells the history if it ever is. */
  async look(what: string, isSo: () => Promise<boolean>): Promise<void> {
    for (const endMs = performance.now() + LOOK_MS; performance.now() < endMs; await this.sleep(20)) {
      if (!(await isSo())) continue;
      this.tell({ kind: 'fault', node: '', incarnation: 0, fault: what, phase: 'once', note: 'seen' });
      return;
    }
  }

  /** Looks until one of the two says that its link to the other is not up. */
  lookForLoss(a: string, b: string): Promise<void> {
    return this.look(LINK_LOST, async () => {
      const [ofA, ofB] = await Promise.all([this.peer(a)?.status(), this.peer(b)?.status()]);
      return [ofA?.links[b], ofB?.links[a]].some((link) => link === 'down' || link === 'suspect');
    });
  }

  private async during(fault: string, node: string, begin: () => Promise<Heal>): Promise<Heal> {
    this.fault(fault, 'begin', node);
    const end = await begin();
    return this.healing(async () => {
      await end();
      this.fault(fault, 'end', node);
    });
  }

  private healing(end: Heal): Heal {
    const heal = async (): Promise<void> => {
      if (this.heals.delete(heal)) await end();
    };
    this.heals.add(heal);
    return heal;
  }

  private fault(fault: string, phase: FaultEvent['phase'], node: string, more: { leaseLeftMs?: number } = {}): void {
    if (phase === 'begin') this.openFaults++;
    else if (phase === 'end') {
      this.openFaults--;
      this.faultEndedMs = hostMs();
    }
    this.tell({ kind: 'fault', node, incarnation: 0, fault, phase, ...more });
  }

  private tell(event: Parameters<Tell>[1]): void {
    this.parts.tell(this.parts.nowMs(), event);
  }

  /** Everything that was begun is over, and every node is up. */
  async heal(): Promise<void> {
    for (const heal of [...this.heals]) await heal();
    this.tell({ kind: 'healed', node: '', incarnation: 0 });
    this.start(...this.names);
  }

  // ---- the end

  /** Ends all processes in good order; those that do not end are killed. Answers what went wrong. */
  async end(withinMs: number): Promise<void> {
    await Promise.all(
      this.names.map(async (name) => {
        Object.assign(this.actor(name), { ending: true, wanted: false });
        await this.close(name, withinMs);
      }),
    );
    this.monitor?.close();
  }

  /** Nothing is started any more, and the end of a process is no news. */
  abandon(): void {
    for (const actor of this.actors.values()) Object.assign(actor, { ending: true, wanted: false });
    this.monitor?.close();
  }
}
