/** The operator's connection to Redis, past all proxies. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Heal } from './links.js';

const BASE = 'chaos:{0}:';

export interface StoreAtRest {
  readonly live: readonly (readonly [entity: string, seq: number])[];
  readonly depth: number;
  readonly active: number;
  readonly ready: number;
}

export class Admin {
  static readonly keyPrefix = 'chaos';
  static readonly base = BASE;
  private readonly client: Redis;
  private marks = 0;

  constructor(
    host: string,
    private readonly port: number,
  ) {
    this.client = new Redis({ host, port, retryStrategy: () => 50, maxRetriesPerRequest: null });
    this.client.on('error', () => undefined);
  }

  /** Marks the current position in the stream of MONITOR with an ECHO. Returns the mark. */
  async mark(): Promise<string> {
    const mark = `chaos-mark-${this.port}-${++this.marks}`;
    await this.client.echo(mark);
    return mark;
  }

  nextMark(): string {
    return `chaos-mark-${this.port}-${this.marks + 1}`;
  }

  private async set(name: string, value: string): Promise<void> {
    await this.client.config('SET', name, value);
  }

  /** Sets `maxmemory` to 1 byte, so that every command that needs memory is refused with OOM. */
  async outOfMemory(): Promise<Heal> {
    await this.set('maxmemory', '1');
    return () => this.set('maxmemory', '0');
  }

  async clientPause(ms: number): Promise<void> {
    await this.client.client('PAUSE', ms, 'ALL');
  }

  /** Makes Redis a replica of a server that does not exist. It then serves reads, and refuses writes with READONLY. */
  async readonly(): Promise<Heal> {
    await this.client.replicaof('127.0.0.1', 1);
    return async () => {
      await this.client.replicaof('NO', 'ONE');
    };
  }

  /**
   * Makes the snapshot fail, as on a full disk, so that writes are refused with MISCONF. Needs a folder at the path of dump.rdb.
   */
  async snapshotFails(): Promise<Heal> {
    await this.set('save', '3600 1000000');
    await this.client.bgsave();
    await this.bgsaveEnds();
    return async () => {
      await this.set('save', '');
      await this.client.bgsave();
      await this.bgsaveEnds();
    };
  }

  private async bgsaveEnds(): Promise<void> {
    while (/rdb_bgsave_in_progress:1/.test(await this.client.info('persistence'))) await sleep(20);
  }

  /** Runs a script that does not end. Redis refuses all other calls with BUSY. */
  async busy(): Promise<Heal> {
    const other = this.client.duplicate();
    const ended = other.eval('while true do end', 0).catch(() => undefined);
    return async () => {
      await this.client.script('KILL');
      await ended;
      other.disconnect();
    };
  }

  /** Makes Redis forget all scripts. The next call of each script is refused with NOSCRIPT. */
  async forgetScripts(): Promise<void> {
    await this.client.script('FLUSH');
  }

  /** Cuts the connections of all nodes, but not this one or that of the monitor. */
  async killClients(): Promise<void> {
    const self = await this.client.client('ID');
    const list = (await this.client.client('LIST')) as string;
    for (const [, id, flags] of list.matchAll(/^id=(\d+) .*? flags=(\S+)/gm))
      if (Number(id) !== self && flags?.includes('O') === false) await this.client.client('KILL', 'ID', Number(id));
  }

  /** Returns the number of connections that the server has accepted since its start. */
  async connections(): Promise<number> {
    return Number(/total_connections_received:(\d+)/.exec(await this.client.info('stats'))?.[1]);
  }

  /** Returns the number of calls that were refused with this error code. */
  async errors(code: string): Promise<number> {
    return Number(new RegExp(`errorstat_${code}:count=(\\d+)`).exec(await this.client.info('errorstats'))?.[1] ?? 0);
  }

  async atRest(): Promise<StoreAtRest> {
    const [fields, meta, ready] = await Promise.all([
      this.client.hkeys(`${BASE}msg`),
      this.client.hmget(`${BASE}meta`, 'depth', 'active'),
      this.client.zcard(`${BASE}ready`),
    ]);
    const live = fields.map((field) => {
      const [entity = '', seq = ''] = field.split('\x1e');
      return [entity, Number(seq)] as const;
    });
    return { live, depth: Number(meta[0] ?? 0), active: Number(meta[1] ?? 0), ready };
  }

  close(): void {
    this.client.disconnect();
  }
}
