/** Runs the app, kills it at drawn moments, starts it again, and lets the last one drain: the result is a history. */
import { readdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Random } from '../../demo/random.js';
import { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import type { AppOptions } from './app.js';
import type { Resend } from './driver.js';
import { readFinalState } from './final-state.js';
import type { History } from './history.js';
import { Ledger } from './ledger.js';
import { AppProcess } from './process.js';
import { type RecordEvent, readRecord, recordPath } from './record.js';

export interface CampaignOptions {
  readonly redisUrl: string;
  readonly kills: number;
  readonly seed: number;
  /** Processes at once; one of them is killed at a time. */
  readonly apps: number;
  /** Folder of the record. */
  readonly dir: string;
  /** Called after each kill. */
  onKill(done: number): void;
}

const KEY_PREFIX = 'kill';
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
    await campaign.killAll();
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
  readonly #nodeTTLMs: number;
  readonly #apps: AppProcess[] = [];
  #runs = 0;
  /** Messages whose callers do not know what became of them. */
  readonly #open = new Map<string, Resend>();
  readonly #known: Resend[] = [];

  constructor(options: CampaignOptions, store: RedisStore) {
    this.#options = options;
    this.#store = store;
    this.#random = new Random(options.seed, 'kills');
    // With neighbours a stall of the machine longer than the lease would break what I2 assumes; alone nobody takes over.
    this.#nodeTTLMs = options.apps > 1 ? 1000 : 300;
  }

  async killAll(): Promise<void> {
    const { kills, apps, onKill } = this.#options;
    for (let slot = 0; slot < apps; slot++) this.#apps.push(this.#start(slot, 'load'));
    for (let done = 1; done <= kills; done++) {
      const slot = this.#random.between(0, apps - 1);
      const victim = this.#apps[slot] as AppProcess;
      await this.#moment(victim);
      await this.#killed(victim);
      if (done < kills) this.#apps[slot] = this.#start(slot, 'load');
      onKill(done);
    }
    for (const app of this.#apps) if (!app.isGone) await this.#killed(app);
  }

  async #killed(app: AppProcess): Promise<void> {
    await app.kill();
    this.#learn(app.run);
  }

  /** A drawn moment: while it starts, when it recovers and takes load, or later, when all entities are served again. */
  async #moment(app: AppProcess): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.15) {
      await sleep(this.#random.between(0, 800));
      return;
    }
    const delayMs = draw < 0.6 ? this.#random.between(0, 400) : this.#random.between(300, 1500);
    await app.heard('ready');
    await sleep(delayMs);
  }

  #start(slot: number, role: AppOptions['role']): AppProcess {
    const { redisUrl, seed, dir } = this.#options;
    const run = ++this.#runs;
    const serverId = this.#random.chance(0.5) ? `stable-${slot}` : `fresh-${run}`;
    const what = { redisUrl, keyPrefix: KEY_PREFIX, serverId, run, seed, dir, role, nodeTTLMs: this.#nodeTTLMs };
    return new AppProcess(what, this.#resends(role));
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
    const last = this.#start(0, 'drain');
    this.#apps.splice(0, this.#apps.length, last);
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
