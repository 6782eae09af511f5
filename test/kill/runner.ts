/** Runs the app, kills and stops it at drawn moments, starts it again, and lets the last one drain: the result is a history. */
import { readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from '../../demo/machine.js';
import { Random } from '../../demo/random.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import type { AppOptions } from './app.js';
import type { Resend } from './driver.js';
import { drawFault, drawStopMs, type Fault } from './faults.js';
import { readFinalState } from './final-state.js';
import type { History } from './history.js';
import { Ledger } from './ledger.js';
import { AppProcess } from './process.js';
import { type RecordEvent, readRecord, recordPath } from './record.js';

export interface CampaignOptions {
  readonly redisUrl: string;
  /** Faults, unless `minutes` says how long to go on. */
  readonly kills: number;
  readonly minutes: number | undefined;
  readonly seed: number;
  /** Processes at once. */
  readonly apps: number;
  /** Over gRPC, and with other faults beside kills. */
  readonly cluster: boolean;
  /** Folder of the record. */
  readonly dir: string;
  /** Called after each fault. */
  onFault?(done: number, fault: Fault): void;
}

const KEY_PREFIX = 'kill';
const CLUSTER_PACE = 3;
const OVERLAP = 0.3;
const DRAIN_TIMEOUT_MS = 60_000;
const KNOWN_RESENDS = { run: 15, drain: 100 };

export async function runCampaign(options: CampaignOptions): Promise<History> {
  const store = new RedisStore({
    connection: { url: options.redisUrl },
    keyPrefix: KEY_PREFIX,
    storeCallTimeoutMs: 5000,
    clock: new SystemClock(),
  });
  await store.open();
  const campaign = new Campaign(options, store);
  try {
    await campaign.hurtAll();
    await campaign.drain();
    return await campaign.history();
  } finally {
    await campaign.end();
    await store.close();
  }
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #store: RedisStore;
  readonly #random: Random;
  /** Its own stream: which faults come depends on the seed alone. */
  readonly #faults: Random;
  readonly #nodeTTLMs: number;
  readonly #apps: AppProcess[] = [];
  /** Slots whose process is stopped, until it goes on. */
  readonly #stopped = new Map<number, Promise<void>>();
  #runs = 0;
  /** Messages whose callers do not know what became of them. */
  readonly #open = new Map<string, Resend>();
  readonly #known: Resend[] = [];

  constructor(options: CampaignOptions, store: RedisStore) {
    this.#options = options;
    this.#store = store;
    this.#random = new Random(options.seed, 'kills');
    this.#faults = new Random(options.seed, 'faults');
    // With neighbours a stall of the machine longer than the lease would break what I2 assumes; alone nobody takes over.
    this.#nodeTTLMs = options.apps > 1 ? 1000 : 300;
  }

  async hurtAll(): Promise<void> {
    const { kills, minutes, apps, cluster, onFault } = this.#options;
    for (let slot = 0; slot < apps; slot++) await this.#start(slot, 'load');
    const endMs = performance.now() + (minutes ?? 0) * 60_000;
    for (let done = 0; minutes === undefined ? done < kills : performance.now() < endMs; ) {
      const fault = cluster ? drawFault(this.#faults) : 'kill';
      await this.#hurt(fault);
      onFault?.(++done, fault);
    }
    await Promise.all(this.#stopped.values());
    for (const app of this.#apps) await this.#killed(app);
  }

  async #hurt(fault: Fault): Promise<void> {
    const slot = await this.#slotFor(fault);
    const victim = this.#apps[slot] as AppProcess;
    await this.#moment(victim, fault === 'terminate');
    switch (fault) {
      case 'kill':
      case 'kill-master':
        await this.#killed(victim);
        return this.#start(slot, 'load');
      case 'kill-all':
        await Promise.all(this.#apps.map((app) => this.#killed(app)));
        await Promise.all(this.#stopped.values());
        for (let each = 0; each < this.#apps.length; each++) await this.#start(each, 'load');
        return;
      case 'terminate':
        await victim.close();
        this.#learn(victim.run);
        return this.#start(slot, 'load');
      default:
        this.#stop(slot, fault === 'stop-long' ? 'long' : 'short');
        // Mostly the others go on in peace meanwhile, and sometimes the next fault comes before the process is back.
        if (this.#random.chance(OVERLAP)) return;
        await this.#stopped.get(slot);
    }
  }

  /** One whose process is not stopped now. */
  async #slotFor(fault: Fault): Promise<number> {
    const { apps } = this.#options;
    if (this.#stopped.size === apps) await Promise.race(this.#stopped.values());
    const wanted = fault === 'kill-master' ? await this.#masterSlot() : undefined;
    if (wanted !== undefined && !this.#stopped.has(wanted)) return wanted;
    let slot = this.#random.between(0, apps - 1);
    while (this.#stopped.has(slot)) slot = (slot + 1) % apps;
    return slot;
  }

  async #masterSlot(): Promise<number | undefined> {
    const { leaders, members } = await this.#store.control({ op: 'members' });
    const leader = members.find(({ incarnation }) => incarnation === leaders[0]?.incarnation);
    const slot = this.#apps.findIndex(({ serverId }) => serverId === leader?.serverId);
    return slot === -1 ? undefined : slot;
  }

  #stop(slot: number, which: 'long' | 'short'): void {
    const app = this.#apps[slot] as AppProcess;
    const going = app.stopFor(drawStopMs(this.#random, which, this.#nodeTTLMs)).finally(() => this.#stopped.delete(slot));
    this.#stopped.set(slot, going);
  }

  async #killed(app: AppProcess): Promise<void> {
    await app.kill();
    this.#learn(app.run);
  }

  /** A drawn moment: while it starts, when it recovers and takes load, or later, when all entities are served again. */
  async #moment(app: AppProcess, onceReady: boolean): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.15 && !onceReady) {
      await sleep(this.#random.between(0, 800));
      return;
    }
    const delayMs = draw < 0.6 ? this.#random.between(0, 400) : this.#random.between(300, 1500);
    await app.heard('ready');
    await sleep(delayMs);
  }

  async #start(slot: number, role: AppOptions['role']): Promise<void> {
    const { redisUrl, seed, dir, cluster } = this.#options;
    const run = ++this.#runs;
    const serverId = this.#random.chance(0.5) ? `stable-${slot}` : `fresh-${run}`;
    const address = cluster ? `127.0.0.1:${await freePort()}` : undefined;
    const pace = cluster ? CLUSTER_PACE : 1;
    const what = { redisUrl, keyPrefix: KEY_PREFIX, serverId, run, seed, dir, role, nodeTTLMs: this.#nodeTTLMs, pace, address };
    this.#apps[slot] = new AppProcess(what, this.#resends(role));
  }

  #resends(role: AppOptions['role']): Resend[] {
    const all = role === 'drain';
    const open = [...this.#open.values()].filter(() => all || this.#random.chance(0.7));
    const count = Math.min(this.#known.length, all ? KNOWN_RESENDS.drain : KNOWN_RESENDS.run);
    for (let i = 0; i < count; i++) open.push(this.#known[this.#random.between(0, this.#known.length - 1)] as Resend);
    return open;
  }

  /** Reads what the callers of a process were told. */
  #learn(run: number): void {
    const told = new Set<string>();
    const events = readRecord(recordPath(this.#options.dir, run));
    for (const event of events)
      if (event.kind === 'told' && (event.verdict !== 'error' || event.definite === true)) told.add(event.call);
    for (const event of events) {
      if (event.kind !== 'invoke' || event.id === undefined) continue;
      const { id, plan } = event;
      if (told.has(event.call)) {
        this.#open.delete(id);
        this.#known.push({ id, plan });
      } else this.#open.set(id, { id, plan });
    }
  }

  async drain(): Promise<void> {
    this.#apps.length = 0;
    await this.#start(0, 'drain');
    const last = this.#apps[0] as AppProcess;
    await last.heard('resent');
    const endMs = performance.now() + DRAIN_TIMEOUT_MS;
    for (;;) {
      const { depth } = await this.#store.control({ op: 'counts' });
      const { members } = await this.#store.control({ op: 'members' });
      // The dead are buried by and by, also those that owned nothing. What stays is judged by the checkers.
      if ((depth === 0 && members.length === 1) || last.isGone || performance.now() > endMs) break;
      await sleep(50);
    }
    await last.close();
  }

  async history(): Promise<History> {
    const { dir, redisUrl } = this.#options;
    const events: RecordEvent[] = [];
    for (const file of readdirSync(dir).sort())
      if (file.endsWith('.jsonl')) for (const event of readRecord(`${dir}/${file}`)) events.push(event);
    const redis = new Redis(redisUrl);
    const final = await readFinalState(this.#store, new Ledger(redis), events);
    redis.disconnect();
    writeFileSync(`${dir}/final.json`, JSON.stringify({ ...final, given: [...final.given] }));
    const nodeTTLMs = this.#nodeTTLMs;
    return { events, final, leaseMs: nodeTTLMs - Math.round(nodeTTLMs / 7), heartbeatMs: nodeTTLMs / 5 };
  }

  /** Whatever has happened, no process of the campaign outlives it. */
  async end(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.kill()));
  }
}
