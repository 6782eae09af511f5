/**
 * Kills nodes of a cluster with default timings, again and again, and measures how long their entities stand still.
 * For each kill the victim owns entities that do nothing, and one whose handler runs and behind which a message waits.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../demo/machine.js';
import { Random } from '../../demo/random.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { AppProcess } from './process.js';

export interface Options {
  readonly redisUrl: string;
  /** Kills of the master, and as many of another node. */
  readonly kills: number;
  readonly seed: number;
  onKill?(done: number): void;
}

/** Of one kill, in ms from it. */
export interface Failover {
  readonly victim: 'master' | 'replica';
  /** Until an entity that did nothing has completed a message again: the slowest of some. */
  readonly idleMs: number;
  /** Until the message behind the interrupted one has completed. */
  readonly busyMs: number;
  /** Until another node is recorded as master; of a replica undefined. */
  readonly newMasterMs: number | undefined;
}

export interface Found {
  readonly failovers: readonly Failover[];
  /** Calls, during failovers, for entities whose owner lives: how many, and what went wrong with them. */
  readonly otherCalls: number;
  readonly otherFailures: readonly string[];
  /** The longest of them. */
  readonly otherMsMax: number;
  readonly violations: readonly string[];
}

const APP = fileURLToPath(new URL('./app.js', import.meta.url));
const KEY_PREFIX = 'failover';
const NODES = ['node-a', 'node-b', 'node-c'];
const IDLE_ITEMS = 4;
const OTHER_ITEMS = 4;
const PROBES_MAX = 500;
const POLL_MS = 10;
const OTHERS_EVERY_MS = 25;
const CALL_TIMEOUT_MS = 20_000;
const MASTER_TIMEOUT_MS = 30_000;
/** A handler that only its end ends. */
const FOR_EVER_MS = 600_000;

interface Round {
  readonly victim: AppProcess;
  readonly caller: AppProcess;
  readonly idle: readonly string[];
  readonly busy: string;
  readonly others: readonly string[];
}

export async function measureFailovers(options: Options): Promise<Found> {
  const connection = { url: options.redisUrl };
  const store = new RedisStore({ connection, keyPrefix: KEY_PREFIX, storeCallTimeoutMs: 5000, clock: new SystemClock() });
  await store.open();
  const campaign = new Campaign(options, store);
  try {
    return await campaign.run();
  } finally {
    campaign.end();
    await store.close();
  }
}

class Campaign {
  readonly #options: Options;
  readonly #store: RedisStore;
  readonly #random: Random;
  readonly #nodes = new Map<string, AppProcess>();
  readonly #failovers: Failover[] = [];
  readonly #violations: string[] = [];
  readonly #otherFailures: string[] = [];
  #otherCalls = 0;
  #otherMsMax = 0;
  #items = 0;

  constructor(options: Options, store: RedisStore) {
    this.#options = options;
    this.#store = store;
    this.#random = new Random(options.seed, 'failover');
  }

  async run(): Promise<Found> {
    for (const serverId of NODES) await this.#start(serverId);
    for (let kill = 0; kill < this.#options.kills; kill++) {
      for (const who of ['master', 'replica'] as const) {
        this.#failovers.push(await this.#failover(who));
        this.#options.onKill?.(this.#failovers.length);
      }
    }
    return {
      failovers: this.#failovers,
      otherCalls: this.#otherCalls,
      otherFailures: this.#otherFailures,
      otherMsMax: this.#otherMsMax,
      violations: this.#violations,
    };
  }

  end(): void {
    for (const node of this.#nodes.values()) node.kill();
  }

  async #start(serverId: string): Promise<void> {
    const address = `127.0.0.1:${await freePort()}`;
    const grpc = { enabled: true, listenAddress: address, advertisedAddress: address };
    const node = new AppProcess(APP, { redisUrl: this.#options.redisUrl, keyPrefix: KEY_PREFIX, serverId, grpc, code: 'old' });
    this.#nodes.set(serverId, node);
    await node.ready();
  }

  async #failover(who: 'master' | 'replica'): Promise<Failover> {
    const round = await this.#prepare(who);
    const { victim, caller, idle, busy } = round;
    const begun = victim.began(busy);
    const interrupted = this.#visit(caller, busy, FOR_EVER_MS);
    await begun;
    const behind = this.#visit(caller, busy, 0);
    const others = new OtherCalls(caller, round.others);
    others.start();
    // At any moment between two beats.
    await sleep(this.#random.between(100, 1000));

    const killedMs = performance.now();
    victim.kill();
    const since = async (visits: Promise<unknown>[]): Promise<number> => {
      await Promise.all(visits);
      return performance.now() - killedMs;
    };
    const [idleMs, busyMs, newMasterMs] = await Promise.all([
      since(idle.map((id) => this.#visit(caller, id, 0).then((code) => this.#expect('ok', code, id)))),
      since([behind.then((code) => this.#expect('ok', code, busy))]),
      who === 'master' ? since([this.#anotherLeads(victim.serverId)]) : undefined,
    ]);
    this.#expect('INTERRUPTED', await interrupted, busy);
    await others.stop();
    this.#otherCalls += others.calls;
    this.#otherMsMax = Math.max(this.#otherMsMax, others.msMax);
    this.#otherFailures.push(...others.failures);
    await this.#start(victim.serverId);
    return { victim: who, idleMs, busyMs, newMasterMs };
  }

  /** Answers 'ok', or the code of the error. */
  async #visit(caller: AppProcess, id: string, forMs: number): Promise<string> {
    const answer = await caller.call({ name: 'Visit', id, forMs, timeoutMs: CALL_TIMEOUT_MS });
    return answer.ok ? 'ok' : answer.code;
  }

  #expect(wanted: string, code: string, id: string): void {
    if (code !== wanted) this.#violations.push(`a caller of ${id} was told ${code}, not ${wanted}`);
  }

  async #prepare(who: 'master' | 'replica'): Promise<Round> {
    const master = await this.#masterOf((serverId) => this.#nodes.has(serverId));
    const replicas = NODES.filter((serverId) => serverId !== master);
    const victimId = who === 'master' ? master : (replicas[this.#random.between(0, replicas.length - 1)] as string);
    const survivors = NODES.filter((serverId) => serverId !== victimId);
    const caller = this.#nodes.get(survivors[this.#random.between(0, survivors.length - 1)] as string) as AppProcess;
    const owned: string[] = [];
    const others: string[] = [];
    for (let probe = 0; owned.length <= IDLE_ITEMS || others.length < OTHER_ITEMS; probe++) {
      if (probe === PROBES_MAX) throw new Error(`${victimId} owns nothing of ${PROBES_MAX} new entities`);
      const id = `item-${++this.#items}`;
      const answer = await caller.call({ name: 'Visit', id, forMs: 0, timeoutMs: CALL_TIMEOUT_MS });
      if (!answer.ok) throw new Error(`before the kill a caller of ${id} was told ${answer.code}: ${answer.text}`);
      (answer.handled.serverId === victimId ? owned : others).push(id);
    }
    const [busy = '', ...idle] = owned.slice(0, IDLE_ITEMS + 1);
    return { victim: this.#nodes.get(victimId) as AppProcess, caller, idle, busy, others: others.slice(0, OTHER_ITEMS) };
  }

  async #anotherLeads(former: string): Promise<void> {
    await this.#masterOf((serverId) => serverId !== former);
  }

  /** Waits for a master that is wanted; answers its serverId. */
  async #masterOf(isWanted: (serverId: string) => boolean): Promise<string> {
    const endMs = performance.now() + MASTER_TIMEOUT_MS;
    while (performance.now() < endMs) {
      const { members, leaders, nowMs } = await this.#store.control({ op: 'members' });
      const leader = leaders.find(({ untilMs }) => untilMs > nowMs);
      const member = members.find(({ incarnation, dead }) => incarnation === leader?.incarnation && !dead);
      if (member !== undefined && isWanted(member.serverId)) return member.serverId;
      await sleep(POLL_MS);
    }
    throw new Error(`no master within ${MASTER_TIMEOUT_MS} ms`);
  }
}

/** A caller that goes on meanwhile, for entities whose owner lives. */
class OtherCalls {
  calls = 0;
  msMax = 0;
  readonly failures: string[] = [];
  #isOn = true;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly caller: AppProcess,
    private readonly ids: readonly string[],
  ) {}

  start(): void {
    this.#running = this.#go();
  }

  stop(): Promise<void> {
    this.#isOn = false;
    return this.#running;
  }

  async #go(): Promise<void> {
    while (this.#isOn) {
      const startMs = performance.now();
      const id = this.ids[this.calls++ % this.ids.length] as string;
      const answer = await this.caller.call({ name: 'Visit', id, forMs: 0 });
      this.msMax = Math.max(this.msMax, performance.now() - startMs);
      if (!answer.ok) this.failures.push(`${id}: ${answer.code} ${answer.text}`);
      await sleep(OTHERS_EVERY_MS);
    }
  }
}
