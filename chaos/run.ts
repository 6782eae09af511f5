/**
 * Plays one scenario: nodes start, load begins, faults begin and end, and everything heals. From then on the liveness invariants
 * apply.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryEvent, NodeAtRest } from '../sim/history.js';
import { Admin } from './admin.js';
import { assemble } from './assemble.js';
import { hostMs, WallClock } from './clock.js';
import { Control } from './control.js';
import type { Driver, World } from './driver.js';
import { FakeClocks } from './fake-clocks.js';
import { Faults } from './faults.js';
import { Links } from './links.js';
import { Load } from './load.js';
import { Monitor } from './monitor.js';
import { Nodes } from './nodes.js';
import { readRecord } from './record.js';
import type { Scenario } from './scenarios/scenario.js';
import { factsOf, RECOVERY_MS_MAX, SETTINGS } from './settings.js';
import { findFaketime } from './setup.js';
import { Stage } from './stage.js';
import { StoreLog, type Tell, type TellNow } from './store-log.js';

export interface RunOptions {
  readonly driver: Driver;
  readonly scenario: Scenario;
  readonly seed: number;
  readonly dir: string;
  readonly signal: AbortSignal;
}

const WARM_MS = 1500;
/** Time in ms for which load goes on after the heal. Its calls show the recovery. */
const AFTER_MS = 4000;
const POLL_MS = 100;
const PROBES_MAX = 10;
/** Time in ms after its timeout at which a probe is given up. A node that is stuck never replies; L1 and L2 report that. */
const PROBE_LATE_MS = 5000;
const CLOSE_MS = 15_000;
const SETTLE_MS_MAX = 30_000;
const REST_MS = 1000;

export async function play({ driver, scenario, seed, dir, signal }: RunOptions): Promise<HistoryEvent[]> {
  const names = Array.from({ length: scenario.nodes ?? 3 }, (_, i) => `n${i + 1}`);
  const originMs = hostMs();
  const nowMs = (): number => hostMs() - originMs;
  const events: HistoryEvent[] = [];
  const tell: Tell = (atMs, event) => void events.push({ ...event, index: 0, atMs } as HistoryEvent);
  const tellNow: TellNow = (event) => tell(nowMs(), event);
  const storeEvents: HistoryEvent[] = [];
  tell(0, { kind: 'run', node: '', incarnation: 0, facts: factsOf(SETTINGS) });
  const wall = new WallClock();
  const control = await Control.open(driver.name === 'local' ? '127.0.0.1' : '0.0.0.0', nowMs, tell);
  let world: World | undefined;
  let stage: Stage | undefined;
  try {
    world = await driver.open({ names, dir, controlPort: control.port });
    const links = new Links(world, names);
    await links.open();
    const { redis } = world;
    const admin = new Admin(redis.host, redis.port);
    // The events keep wall-clock times until the run is over. The offset to the host clock is known best then.
    const storeLog = new StoreLog(Admin.base, (wallMs, event) => {
      storeEvents.push({ ...event, index: 0, atMs: wallMs } as HistoryEvent);
    });
    const onLost = (): void =>
      tellNow({ kind: 'defect', node: 'store', incarnation: 0, what: 'MONITOR has ended: the history has a hole' });
    const openMonitor = (): Promise<Monitor> =>
      Monitor.open(redis.host, redis.port, (line) => storeLog.take(line, line.wallMs), onLost);
    const { pubsub = false, needs } = scenario;
    const faults = new Faults(tellNow);
    const clocks = new FakeClocks(needs === 'libfaketime' ? findFaketime() : undefined, dir);
    const nodes = new Nodes({ names, world, control, faults, clocks, tellNow, originMs, pubsub, signal });
    const parts = { names, nodes, faults, clocks, world, links, control, admin, storeLog, openMonitor, wall, signal };
    stage = new Stage(parts);
    try {
      await new Run(scenario, seed, stage, control, tellNow, signal).play();
    } catch (error) {
      signal.throwIfAborted();
      const what = `the scenario could not be played: ${String((error as Error).stack ?? error)}`;
      tellNow({ kind: 'defect', node: '', incarnation: 0, what });
      // Stop the nodes gracefully, so that the history is complete even in this case.
      await stage.end(CLOSE_MS);
    } finally {
      admin.close();
    }
  } finally {
    stage?.abandon();
    await world?.close();
    control.close();
    wall.close();
  }
  const records = readdirSync(dir).filter((file) => file.endsWith('.jsonl') && file.startsWith('node-'));
  for (const event of storeEvents) event.atMs = wall.toHostMs(event.atMs) - originMs;
  return assemble([events, storeEvents, ...records.sort().map((file) => readRecord(join(dir, file)))]);
}

class Run {
  constructor(
    private readonly scenario: Scenario,
    private readonly seed: number,
    private readonly stage: Stage,
    private readonly control: Control,
    private readonly tellNow: TellNow,
    private readonly signal: AbortSignal,
  ) {}

  async play(): Promise<void> {
    const { stage, control, seed } = this;
    await stage.watch();
    stage.nodes.start(...stage.names);
    await stage.nodes.ready(...stage.names);
    if (this.scenario.pubsub !== true) await stage.nodes.linked();
    const load = new Load(seed, stage.names, control.peers);
    load.start();
    try {
      await this.playUnder(load);
    } finally {
      await load.stop();
    }
  }

  private async playUnder(load: Load): Promise<void> {
    const { stage, scenario } = this;
    await this.wait(WARM_MS);
    await scenario.play(stage);
    this.signal.throwIfAborted();
    await stage.heal();
    await this.wait(AFTER_MS);
    await load.stop();
    await this.until(async () => stage.storeLog.depth === 0 && (await this.isWell()), SETTLE_MS_MAX);
    await load.told(SETTINGS.replyTimeoutMs + SETTINGS.storeCallTimeoutMs + 2000);
    await Promise.all(stage.names.map((name, i) => this.probe(name, i + 1, 1)));
    await this.until(async () => stage.storeLog.depth === 0, RECOVERY_MS_MAX);
    await this.until(async () => (await this.atRest()).every((n) => n.waiting === 0), RECOVERY_MS_MAX);
    await this.wait(SETTINGS.idleTimeoutMs + REST_MS);
    await this.finish();
    await stage.end(CLOSE_MS);
  }

  private async wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal });
  }

  private async until(holds: () => Promise<boolean>, withinMs: number): Promise<void> {
    for (const endMs = performance.now() + withinMs; performance.now() < endMs; await this.wait(POLL_MS))
      if (await holds()) return;
  }

  private async isWell(): Promise<boolean> {
    const { stage } = this;
    if (!stage.names.every((name) => stage.nodes.isReady(name))) return false;
    const all = await Promise.all(stage.names.map((name) => stage.nodes.peer(name)?.status()));
    return all.every((s) => s?.state === 'running' && !s.suspended && !s.degraded);
  }

  /**
   * Sends new work through a node, which must accept and finish it. Retries, because a node that has just recovered may refuse
   * calls for a moment.
   */
  private async probe(name: string, i: number, tries: number): Promise<void> {
    const { independentMs: timeoutMs } = factsOf(SETTINGS);
    const job = { c: `p${i}-${tries}`, op: 'deposit', amount: 1, ms: 5, how: 'ok' } as const;
    const call = this.stage.nodes.peer(name)?.call({ entity: `plain:probe-${i}`, job, how: 'wait', timeoutMs, probe: true });
    const told = await Promise.race([call, sleep(timeoutMs + PROBE_LATE_MS, undefined, { ref: false })]);
    if ((told?.code === 'STORE_UNAVAILABLE' || told?.code === 'OUTCOME_UNKNOWN') && tries < PROBES_MAX) {
      await this.wait(300);
      await this.probe(name, i, tries + 1);
    }
  }

  private atRest(): Promise<NodeAtRest[]> {
    return Promise.all(
      this.stage.names.map(async (node) => {
        const status = this.stage.nodes.isReady(node) ? await this.stage.nodes.peer(node)?.status() : undefined;
        const { state = 'down', running = 0, waiting = 0, owned = 0 } = status ?? {};
        // The simulator counts the timers of the runtime. In a real process other code has timers too.
        return { node, state, running, waiting, owned, timers: 0 };
      }),
    );
  }

  private async finish(): Promise<void> {
    const { live, depth, active, ready } = await this.stage.admin.atRest();
    const balances: Record<string, number> = {};
    for (const [entity, { balance }] of this.control.bank.accounts) balances[entity] = balance;
    const nodes = await this.atRest();
    this.tellNow({ kind: 'final', node: '', incarnation: 0, live, depth, active, ready, nodes, balances });
  }
}
