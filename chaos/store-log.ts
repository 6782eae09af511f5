/**
 * Derives what the library's scripts did to the log from the commands of a Redis, and reports it as events of a history. The
 * simulator's observer does the same for its own store. A batch was applied if and only if its script wrote the session
 * (`HSET meta s<session> <number> s<session>:<0|1> <reply>`). The reply that it stores there is the reply that it returned.
 */

import type { HistoryEvent } from '../sim/history.js';
import { type By, type LogEvent, LogEvents } from '../sim/log-events.js';
import type { Batch } from '../src/core/log/operations.js';
import { decodeBatchReply, FS } from '../src/redis/codec.js';
import { decodeBatch } from './decode-batch.js';
import type { MonitorLine } from './monitor.js';
import { placeNameOf } from './wire.js';

type Unplaced<T> = T extends HistoryEvent ? Omit<T, 'index' | 'atMs'> : never;
export type Tell = (atMs: number, event: Unplaced<HistoryEvent>) => void;
export type TellNow = (event: Unplaced<HistoryEvent>) => void;

/** Index of the first ARGV in a script call. Before it come the command, the script, the number of keys, and three keys. */
const ARGV_AT = 6;
const GROUP = 'default';

export class StoreLog {
  /** Number of messages that are not terminal, as the log has it. */
  depth = 0;
  /** Number of batches that arrived again after they had been applied. */
  copies = 0;
  /** Name of the node that last became master. That node may no longer live. */
  master = '';
  private workersMax = 0;
  private argv: readonly string[] = [];
  private readonly meta: string;
  private readonly names = new Map<number, string>();
  private readonly heartbeats = new Map<string, number>();
  private readonly epochs = new Map<string, number>();
  /** The last batch that was applied, by session. */
  private readonly batches = new Map<string, Pick<Batch, 'generation' | 'n'>>();
  private readonly fences = new Map<string, number>();
  private letters = 0;
  /** Wall-clock time in ms of the command that is being processed. */
  private atMs = 0;
  private readonly log: LogEvents;

  constructor(
    private readonly base: string,
    private readonly tell: Tell,
  ) {
    this.meta = `${base}meta`;
    this.log = new LogEvents((event) => this.add(event), {
      fenceOf: (entity) => this.fences.get(entity) ?? 0,
      workersMax: () => this.workersMax,
    });
  }

  /** Returns the wall-clock time in ms at which the store last received a heartbeat of this node. */
  lastHeartbeatMs(node: string): number {
    return this.heartbeats.get(node) ?? Number.NEGATIVE_INFINITY;
  }

  take({ isLua, args }: MonitorLine, atMs: number): void {
    const [command = '', key = ''] = args;
    if (!isLua) {
      const isScript = /^eval(sha)?$/i.test(command) && args[2] === '3' && args[3] === this.meta;
      this.argv = isScript ? args.slice(ARGV_AT) : [];
      if (this.isCopy()) this.copies++;
      return;
    }
    if (command !== 'HSET' || !key.startsWith(this.base) || this.argv.length === 0) return;
    const pairs = args.slice(2);
    if (key === this.meta) this.wroteMeta(pairs, atMs);
    else if (key === `${this.base}member`) this.wroteMember(pairs, atMs);
    else if (key === `${this.base}leader`) this.wroteLeader(pairs, atMs);
    else if (key === `${this.base}dlq`) this.wroteLetters(pairs, atMs);
  }

  private isCopy(): boolean {
    const [, session = '', generation, n] = this.argv;
    const last = this.batches.get(session);
    return last !== undefined && generation === last.generation && Number(n) <= last.n;
  }

  private wroteMeta(pairs: readonly string[], atMs: number): void {
    const fields = new Map<string, string>();
    for (let i = 0; i + 1 < pairs.length; i += 2) fields.set(pairs[i] as string, pairs[i + 1] as string);
    this.depth = Number(fields.get('depth') ?? this.depth);
    this.workersMax = Number(fields.get('workersMax') ?? this.workersMax);
    const session = `s${this.argv[1]}`;
    if (pairs[0] === session && pairs[2]?.startsWith(`${session}:`) === true) this.applied(pairs[3] as string, atMs);
  }

  /** Processes the record of a member. A join writes one, and so does a heartbeat. */
  private wroteMember([incarnation = '', record = '']: readonly string[], atMs: number): void {
    const [serverId = ''] = record.split(FS);
    const node = placeNameOf(serverId);
    this.names.set(Number(incarnation), node);
    if (this.argv[2] === 'heartbeat' || this.argv[2] === 'join') this.heartbeats.set(node, atMs);
  }

  private wroteLeader([group = '', record = '']: readonly string[], atMs: number): void {
    const [leader, epoch] = record.split(FS).map(Number) as [number, number];
    if (this.epochs.get(group) === epoch) return;
    this.epochs.set(group, epoch);
    this.master = this.by(leader).node;
    this.tell(atMs, { kind: 'epoch', ...this.by(leader), group: GROUP, epoch, what: 'lead' });
  }

  private wroteLetters(pairs: readonly string[], atMs: number): void {
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const letter = pairs[i] as string;
      // A late end is added to a dead letter that is already known.
      if (Number(letter) <= this.letters) continue;
      this.letters = Number(letter);
      const [entity = '', reason = '', , , , , , , seq = '', , attempt = ''] = (pairs[i + 1] as string).split(FS);
      const message = { entity, id: this.log.idOf(entity, Number(seq)), seq: Number(seq), attempt: Number(attempt) };
      this.tell(atMs, {
        kind: 'letter',
        ...this.by(Number.parseInt(this.argv[1] ?? '', 10)),
        letter,
        ...message,
        reason: reason as 'failed' | 'interrupted',
      });
    }
  }

  private by(incarnation: number): By {
    return { node: this.names.get(incarnation) ?? '', incarnation };
  }

  private applied(text: string, atMs: number): void {
    const batch = decodeBatch(this.argv);
    const reply = decodeBatchReply(text, batch);
    if (reply.status !== 'applied') throw new Error(`an applied batch keeps the reply ${text.slice(0, 50)}`);
    this.atMs = atMs;
    this.batches.set(this.argv[1] ?? '', batch);
    batch.ops.forEach((op, i) => {
      const answer = reply.answers[i];
      if (answer?.ok === true) this.log.step(this.by(batch.incarnation), op, answer);
    });
  }

  private add(event: LogEvent): void {
    if (event.kind === 'own' && event.how === 'claim') this.fences.set(event.entity, event.fence);
    this.tell(this.atMs, event);
  }
}
