/**
 * Tracks which process runs at each place. A process that ends unexpectedly is recorded as a defect, unless a fault explains its
 * end, and is started again.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endsWithin } from '../demo/ends-within.js';
import { hostMs } from './clock.js';
import type { Control, Peer } from './control.js';
import type { Process, World } from './driver.js';
import type { FakeClocks } from './fake-clocks.js';
import type { Faults } from './faults.js';
import { SETTINGS } from './settings.js';
import type { TellNow } from './store-log.js';
import { type NodeOptions, serverIdOf } from './wire.js';

export interface NodesParts {
  readonly names: readonly string[];
  readonly world: World;
  readonly control: Control;
  readonly faults: Faults;
  readonly clocks: FakeClocks;
  readonly tellNow: TellNow;
  /** Host time at which the history begins. */
  readonly originMs: number;
  readonly pubsub: boolean;
  readonly signal: AbortSignal;
}

interface Actor {
  process: Process | undefined;
  /** Number of times that a new server has replaced the one at this place. */
  again: number;
  run: number;
  /** Whether the harness has ended the process. */
  ending: boolean;
  /** Whether the node should be up. */
  wanted: boolean;
  startedMs: number;
}

const RESTART_MS = 500;
const READY_MS = 40_000;
const LINKED_MS = 10_000;
/** Limit in ms of a graceful stop, whose grace is 5 s. */
const STOP_MS = 15_000;
/** Limit in ms until a process is gone after SIGKILL. */
const GONE_MS = 10_000;
/** Exit code of a node that could not start. */
const START_FAILED = 3;

export class Nodes {
  private readonly names: readonly string[];
  private readonly actors = new Map<string, Actor>();
  private runs = 0;

  constructor(private readonly parts: NodesParts) {
    this.names = parts.names;
    for (const name of this.names)
      this.actors.set(name, { process: undefined, again: 0, run: 0, ending: false, wanted: false, startedMs: 0 });
  }

  private actor(name: string): Actor {
    const actor = this.actors.get(name);
    if (actor === undefined) throw new Error(`there is no node ${name}`);
    return actor;
  }

  // ---- starts

  start(...names: readonly string[]): void {
    for (const name of names) this.boot(name);
  }

  /** Starts a new server, with another serverId, at the same place. */
  startAnew(name: string): void {
    this.actor(name).again++;
    this.boot(name);
  }

  private boot(name: string): void {
    const actor = this.actor(name);
    actor.wanted = true;
    if (actor.process !== undefined) return;
    const { world, clocks, originMs, pubsub } = this.parts;
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
    const process = world.spawn(options, clocks.envOf(name));
    Object.assign(actor, { process, run, ending: false, startedMs: hostMs() });
    void process.exited.then((code) => this.exited(name, run, code));
  }

  private exited(name: string, run: number, code: number | null): void {
    const actor = this.actor(name);
    if (actor.run !== run) return;
    const { faults, tellNow } = this.parts;
    const { stderr } = actor.process as Process;
    actor.process = undefined;
    const why = code === null ? 'killed' : `exit ${code}`;
    tellNow({ kind: 'node', node: name, incarnation: 0, state: actor.ending ? 'crashed' : 'exited', why });
    // A node may fail to start without its store or while it is cut off. No fault makes a running node exit.
    const mayFail = code === START_FAILED && faults.anySince(actor.startedMs);
    if (!actor.ending && !mayFail)
      tellNow({ kind: 'defect', node: name, incarnation: 0, what: `${name} ended by itself (${why}): ${stderr.slice(-600)}` });
    if (!actor.ending && actor.wanted) setTimeout(() => actor.wanted && this.boot(name), RESTART_MS).unref();
  }

  // ---- how they are

  processOf(name: string): Process | undefined {
    return this.actor(name).process;
  }

  /** Returns the connection of the current process; undefined until that process has said hello. */
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

  private sleep(ms: number): Promise<unknown> {
    return sleep(ms, undefined, { signal: this.parts.signal });
  }

  // ---- ends

  /** Kills the processes with SIGKILL. They stay down until they are started. */
  async kill(...names: readonly string[]): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        const { process } = this.dismissed(name);
        this.parts.faults.once('kill -9', name);
        await process?.signal('SIGKILL');
        if (process !== undefined && !(await endsWithin(process.exited, GONE_MS)))
          throw new Error(`${name} lives ${GONE_MS} ms after kill -9`);
      }),
    );
  }

  /** Stops a node as SIGTERM does: it drains, hands off and leaves. Resolves when the process is gone. */
  async stop(name: string): Promise<void> {
    this.dismissed(name);
    this.parts.faults.once('graceful stop', name);
    await this.close(name, STOP_MS);
  }

  /** Stops all nodes gracefully. Kills those that do not end within `withinMs`. */
  async end(withinMs: number): Promise<void> {
    await Promise.all(
      this.names.map(async (name) => {
        this.dismissed(name);
        await this.close(name, withinMs);
      }),
    );
  }

  /** Stops all restarts. From now on the end of a process is expected. */
  abandon(): void {
    for (const name of this.names) this.dismissed(name);
  }

  private dismissed(name: string): Actor {
    return Object.assign(this.actor(name), { ending: true, wanted: false });
  }

  /** Stops a process gracefully. One that does not end within `withinMs` is recorded as a defect and killed. */
  private async close(name: string, withinMs: number): Promise<void> {
    const { process } = this.actor(name);
    if (process === undefined) return;
    this.peer(name)?.tell({ kind: 'close' });
    if (await endsWithin(process.exited, withinMs)) return;
    this.parts.tellNow({ kind: 'defect', node: name, incarnation: 0, what: `${name} did not close within ${withinMs} ms` });
    await process.signal('SIGKILL');
    await endsWithin(process.exited, GONE_MS);
  }
}
