/**
 * Everything that a store holds, as lines by name: from the core, and from the data of the scripts in Redis. Two stores with the
 * same content have the same lines. src/redis/scripts/head.lua describes the layout.
 */
import type { Letter } from '../../src/core/log/control-operations.js';
import type { MessageRecord } from '../../src/core/log/operations.js';
import type { EntityRecord, MemberRecord, PartitionState } from '../../src/core/log/state.js';
import { FS, RS } from '../../src/redis/codec.js';
import { contractRecord } from '../../src/redis/codec-control.js';

export type Lines = ReadonlyMap<string, string>;

/** The reads of a server that `storedIn` needs. */
export interface Stored {
  hash(key: string): Readonly<Record<string, string>>;
  sortedSet(key: string): ReadonlyMap<string, string>;
}

/** Returns the first line in which two stores differ; undefined if there is none. */
export function differenceOf(core: Lines, redis: Lines): string | undefined {
  for (const [name, text] of core) {
    const other = redis.get(name);
    if (other !== text)
      return `${name}: the core has ${shown(text)}, Redis has ${other === undefined ? 'nothing' : shown(other)}`;
  }
  for (const [name, text] of redis) if (!core.has(name)) return `${name}: the core has nothing, Redis has ${shown(text)}`;
  return undefined;
}

const shown = (text: string): string => JSON.stringify(text);

// ---- the core ------------------------------------------------------------------------------------------------------------

export function storedOf(state: PartitionState): Lines {
  const lines = new Map<string, string>();
  putMeta(lines, state);
  for (const [entity, rec] of state.entities) {
    lines.set(`entity ${entity}`, entityText(rec));
    for (const m of rec.pending) lines.set(`message ${entity} ${m.seq}`, messageText(m));
    if (rec.running !== undefined) lines.set(`message ${entity} ${rec.running.seq}`, messageText(rec.running));
    const isHeldOnly = rec.owner === 0 && rec.pending.length === 0 && rec.running === undefined;
    if (isHeldOnly) lines.set(`expiry ${entity}`, String(rec.holdUntilMs));
  }
  for (const [entity, fromMs] of state.ready) lines.set(`ready ${entity}`, String(fromMs));
  for (const [key, { seq, digest, state: how, expiresAtMs, result, error }] of state.kept) {
    lines.set(`kept ${key}`, [seq, digest, how, expiresAtMs, result, error].join(FS));
    if (expiresAtMs > 0) lines.set(`expiry ${key}`, String(expiresAtMs));
  }
  for (const member of state.members.values()) putMember(lines, member);
  for (const [group, { incarnation, epoch, untilMs }] of state.leaders)
    lines.set(`leader ${group}`, [incarnation, epoch, untilMs].join(FS));
  for (const letter of state.letters.values()) {
    lines.set(`letter ${letter.id}`, letterText(letter));
    lines.set(`letter in order ${letter.id}`, letter.id);
  }
  for (const [of, letter] of state.letterOf) lines.set(`letter of ${of}`, letter);
  return lines;
}

function putMeta(lines: Map<string, string>, state: PartitionState): void {
  if (state.generation === '') return;
  const { generation, schema, seq, fence, incarnation, letter, epoch, depth, active, workersMax, settings } = state;
  const { leaseTtlMs, takeoverHoldMs, entryTtlMs, resultTtlMs, depthMax, leaderTtlMs, leaderDebounceMs } = settings;
  const fields = {
    ...{ generation, schema, seq, fence, incarnation, letter, epoch, depth, active, workersMax, depthMax },
    ...{ leaseTtl: leaseTtlMs, hold: takeoverHoldMs, entryTtl: entryTtlMs, resultTtl: resultTtlMs },
    ...{ leaderTtl: leaderTtlMs, leaderDebounce: leaderDebounceMs },
  };
  for (const [name, value] of Object.entries(fields)) lines.set(`meta ${name}`, String(value));
  for (const [incarnation, { last }] of state.sessions)
    lines.set(`meta s${incarnation}.${state.members.get(incarnation)?.token ?? ''}`, String(last));
  for (const [incarnation, { token, ended }] of state.joins)
    lines.set(`meta t${incarnation}`, [token, ...(ended === undefined ? [] : [ended.heartbeat, ended.batch])].join(FS));
}

const entityText = ({ owner, fence, tail, running, holdUntilMs, pending }: EntityRecord): string =>
  JSON.stringify({
    ...{ owner, fence, tail, hold: holdUntilMs, pending: [...pending].map(({ seq }) => seq) },
    ...{ running: running?.seq ?? 0, attempt: running?.attempt ?? 0 },
  });

const messageText = (m: MessageRecord): string =>
  [
    ...[m.name, m.attempt, m.notBeforeMs, m.given ? 1 : 0, m.waiter, m.id, m.digest, m.replayOf],
    ...[m.headers, m.chain, m.payload, m.enqueuedAtMs, m.error],
  ].join(FS);

function putMember(lines: Map<string, string>, m: MemberRecord): void {
  const types = [...m.contracts.keys()].join(',');
  const fields = [
    ...[m.serverId, m.group, m.address, m.token, m.joinedAtMs, m.workersMax, m.heartbeat, m.leaseUntilMs, m.dead ? 1 : 0],
    ...[types, m.eligible ? 1 : 0, m.unreachable.join(',')],
  ];
  lines.set(`member ${m.incarnation}`, fields.join(FS));
  if (m.owns > 0) lines.set(`owns ${m.incarnation}`, String(m.owns));
  for (const [type, contract] of m.contracts) lines.set(`contract ${m.incarnation} ${type}`, contractRecord(contract));
  for (const [type, text] of m.schemas) lines.set(`schema ${m.incarnation} ${type}`, text);
}

const letterText = ({ entity, reason, error, incarnation, diedAtMs, late, lateDetail, replayedAs, message }: Letter): string =>
  [entity, reason, error, incarnation, diedAtMs, late, lateDetail, replayedAs, message.seq, messageText(message)].join(FS);

// ---- Redis ---------------------------------------------------------------------------------------------------------------

export function storedIn(redis: Stored, base: string): Lines {
  const lines = new Map<string, string>();
  const put = (
    key: string,
    name: (field: string) => string,
    read: (text: string) => string | undefined = (text) => text,
  ): void => {
    for (const [field, text] of Object.entries(redis.hash(base + key))) {
      const line = read(text);
      if (line !== undefined) lines.set(name(field), line);
    }
  };
  const meta = redis.hash(`${base}meta`);
  for (const [field, text] of Object.entries(meta)) if (!isAnswer(field)) lines.set(`meta ${field}`, text);
  // A missing field counts as 0.
  if (meta.generation !== undefined) for (const field of ['epoch', 'workersMax']) lines.set(`meta ${field}`, meta[field] ?? '0');
  const messages = redis.hash(`${base}msg`);
  for (const [field, text] of Object.entries(messages)) lines.set(`message ${spaced(field)}`, text);
  put('ent', (entity) => `entity ${entity}`);
  for (const [entity, row] of Object.entries(redis.hash(`${base}ent`)))
    lines.set(
      `entity ${entity}`,
      rowText(row, (seq) => messages[`${entity}${RS}${seq}`] !== undefined),
    );
  put('kept', (field) => `kept ${field}`);
  const kept = redis.hash(`${base}kept`);
  for (const [field, atMs] of redis.sortedSet(`${base}expiry`)) {
    const [entity = ''] = field.split(RS);
    const [seq, , , expiresAt] = (kept[field] ?? '').split(FS);
    const replayOf = (messages[`${entity}${RS}${seq}`] ?? '').split(FS)[7] ?? '';
    // Skips the entry of a live message that was sent under a known id: the expire step passes over it. A replay must delete the
    // entry.
    if (expiresAt !== '0' || replayOf !== '') lines.set(`expiry ${field}`, atMs);
  }
  for (const [entity, atMs] of redis.sortedSet(`${base}ready`)) lines.set(`ready ${entity}`, atMs);
  put('member', (incarnation) => `member ${incarnation}`);
  put(
    'owns',
    (incarnation) => `owns ${incarnation}`,
    (text) => (text === '0' ? undefined : text),
  );
  put('contract', (field) => `contract ${spaced(field)}`);
  put('schema', (field) => `schema ${spaced(field)}`);
  put('leader', (group) => `leader ${group}`);
  put('dlq', (letter) => `letter ${letter}`);
  for (const [letter, at] of redis.sortedSet(`${base}dlqindex`)) lines.set(`letter in order ${letter}`, at);
  put('dlqof', (field) => `letter of ${field}`);
  return lines;
}

/** Whether the field holds a kept answer of a session. These are compared when they are returned. */
const isAnswer = (field: string): boolean => /^s\d+\..*:[01]$/.test(field);

/** Turns the separators of a key into spaces. The core keeps the parts of such a key separately. */
const spaced = (field: string): string => field.replaceAll(FS, ' ').replaceAll(RS, ' ');

function rowText(row: string, isThere: (seq: number) => boolean): string {
  const [, owner, fence, at, mark, tail] = /^(\d+),(\d+),(\d+)([r+]?)(\d*)$/.exec(row) ?? [];
  const f =
    owner === undefined
      ? row.split(',').map(Number)
      : mark === ''
        ? [owner, fence, 0, 0, 0, at, 0, at, 0].map(Number)
        : [owner, fence, at, 1, 0, at, 0, mark === 'r' ? at : tail, 0].map(Number);
  const [of, number, running, attempt, , first, , last, hold] = f as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const pending: number[] = [];
  for (let seq = first + 1; seq <= last; seq++) if (isThere(seq)) pending.push(seq);
  return JSON.stringify({ owner: of, fence: number, tail: last, hold, pending, running, attempt: running === 0 ? 0 : attempt });
}
