/**
 * Runs the second half on several nodes. Each node is a process with the bank's application; the nodes use gRPC and one Redis.
 * The clients and the bank's database stay in this process, so they outlive a killed node.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { unescapeId } from '../src/core/ids.js';
import { RedisStore } from '../src/redis/store.js';
import { SystemClock } from '../src/system/clock.js';
import { insistent } from './app.js';
import { audit, DeadLetter } from './audit.js';
import { Bank } from './bank.js';
import { Clients, ClientsOptions, Verdict } from './clients.js';
import { freePort } from './machine.js';
import { Deposit, Withdraw } from './messages.js';
import { NodeProcess } from './node-process.js';
import { QueuedResult } from './queued.js';
import { Random } from './random.js';

export interface ClusterOptions extends ClientsOptions {
  readonly nodes: number;
  readonly kill: boolean;
  readonly redisUrl: string;
  readonly keyPrefix: string;
}

export interface Killed {
  readonly node: string;
  /** Number of handlers that certainly ran on the node when it was killed: the bank had not replied to them. */
  readonly running: number;
}

export interface ClusterResult extends QueuedResult {
  /** Number of handlers that ran to their end, by node. */
  readonly runsByNode: Readonly<Record<string, number>>;
  readonly killed: Killed | undefined;
}

interface StoredLetter extends DeadLetter {
  readonly messageId: string;
}

const SETTLE_MS = 30_000;
const STORE_CALL_MS = 5000;
const LETTERS_PAGE = 500;

export async function runCluster(bank: Bank, options: ClusterOptions): Promise<ClusterResult> {
  const { redisUrl: url, keyPrefix } = options;
  const store = new RedisStore({ connection: { url }, keyPrefix, storeCallTimeoutMs: STORE_CALL_MS, clock: new SystemClock() });
  await store.open();
  const cluster = new Cluster(bank, options);
  try {
    await cluster.start();
    const clients = new Clients(
      insistent((message, impatient) => cluster.ask(message, impatient)),
      { ...options, onProgress: (accepted) => cluster.progressed(accepted) },
    );
    const startCents = bank.totalCents() + clients.startCashCents;
    const start = performance.now();
    await clients.run();
    await settled(store);
    const seconds = (performance.now() - start) / 1000;
    const faults = await cluster.close();
    const letters = await readLetters(store);
    const found = audit(bank, clients, startCents, letters);
    const violations = [...faults, ...cluster.notInterrupted(letters), ...found.violations];
    return { ...found, violations, seconds, runsByNode: cluster.runsByNode(), killed: cluster.killed() };
  } finally {
    cluster.end();
    await store.close();
  }
}

class Cluster {
  private readonly nodes: NodeProcess[] = [];
  private readonly victim: number;
  private victimIsDead = false;
  private turn = 0;

  constructor(
    private readonly bank: Bank,
    private readonly options: ClusterOptions,
  ) {
    this.victim = new Random(options.seed, 'kill').between(0, options.nodes - 1);
  }

  async start(): Promise<void> {
    const { nodes, redisUrl, keyPrefix } = this.options;
    for (let number = 1; number <= nodes; number++) {
      const address = `127.0.0.1:${await freePort()}`;
      this.nodes.push(new NodeProcess({ redisUrl, keyPrefix, serverId: `node-${number}`, address }, this.bank));
    }
    await Promise.all(this.nodes.map((node) => node.ready()));
  }

  /** Sends the message to the next living node in turn. Every node accepts messages for every account. */
  ask(message: Deposit | Withdraw, impatient: boolean): Promise<Verdict> {
    const living = this.nodes.filter((node) => !node.isGone);
    const node = living[this.turn++ % living.length];
    return node === undefined ? Promise.resolve('unknown') : node.ask(message, impatient);
  }

  progressed(accepted: number): void {
    const { onProgress, kill, messages } = this.options;
    onProgress?.(accepted);
    const victim = this.nodes[this.victim];
    if (!kill || this.victimIsDead || victim === undefined || accepted < messages / 2 || victim.running().length === 0) return;
    this.victimIsDead = true;
    victim.kill();
  }

  killed(): Killed | undefined {
    const victim = this.nodes[this.victim];
    return this.victimIsDead && victim ? { node: victim.name, running: victim.running().length } : undefined;
  }

  runsByNode(): Record<string, number> {
    return Object.fromEntries(this.nodes.map(({ name, runs }) => [name, runs]));
  }

  /** Returns a fault for each message that ran on the killed node and is not an interrupted dead letter. */
  notInterrupted(letters: readonly StoredLetter[]): string[] {
    const { kill } = this.options;
    if (kill && !this.victimIsDead) return ['nobody was killed: there were too few messages'];
    const interrupted = new Set(letters.filter(({ reason }) => reason === 'interrupted').map(({ messageId }) => messageId));
    const running = this.victimIsDead ? (this.nodes[this.victim]?.running() ?? []) : [];
    return running.filter((id) => !interrupted.has(id)).map((id) => `${id} ran on the killed node and is no dead letter`);
  }

  /** Stops all living nodes gracefully. Returns a fault for each node that did not close in order or had ended before. */
  async close(): Promise<string[]> {
    const faults = this.nodes.map(({ fault }) => fault).filter((fault) => fault !== undefined);
    const living = this.nodes.filter((node) => !node.isGone);
    const codes = await Promise.all(living.map((node) => node.close()));
    for (const [index, code] of codes.entries())
      if (code !== 0) faults.push(`${living[index]?.name} did not close in good order (${code})`);
    return faults;
  }

  /** Kills the remaining nodes, so that no node outlives the demo. */
  end(): void {
    for (const node of this.nodes) if (!node.isGone) node.kill();
  }
}

/** Waits until the log is empty, at most SETTLE_MS: no client waits for the deposits of the last transfers. */
async function settled(store: RedisStore): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS;
  while ((await store.control({ op: 'counts' })).depth > 0 && performance.now() < deadlineMs) await sleep(20);
}

async function readLetters(store: RedisStore): Promise<StoredLetter[]> {
  const found: StoredLetter[] = [];
  for (let after = ''; ; ) {
    const { letters, next } = await store.control({ op: 'letters', after, max: LETTERS_PAGE });
    for (const { message, reason } of letters) {
      const { ref } = JSON.parse(message.payload) as { readonly ref: string };
      found.push({ ref, reason, messageId: unescapeId(message.id) });
    }
    if (next === '') return found;
    after = next;
  }
}
