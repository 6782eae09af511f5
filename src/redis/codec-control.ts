/** Converts operations outside of sessions to and from the flat strings of src/redis/scripts: the counterpart of control.lua. */
import type {
  AuditAnswer,
  Contract,
  ControlAnswer,
  ControlOp,
  Counters,
  EntityAnswer,
  HistoryAnswer,
  Identity,
  JoinOp,
  Leader,
  Letter,
  LettersAnswer,
  LettersOp,
  Member,
  MembersAnswer,
  ReadyAnswer,
  Remembered,
  SurveyAnswer,
} from '../core/log/control-operations.js';
import type { KnownMessage } from '../core/log/operations.js';
import { FS, malformed, messageAt, RS, refusalOf } from './codec.js';

/** Returns the arguments of the control script. `now`: store time in ms, '' for the server's clock. */
export function encodeControl(op: ControlOp, now: string): string[] {
  return [now, '0', op.op, ...argumentsOf(op)];
}

function argumentsOf(op: ControlOp): string[] {
  switch (op.op) {
    case 'join':
      return joinArguments(op);
    case 'heartbeat':
      return [...identity(op), String(op.heartbeat), String(op.acknowledged)];
    case 'leave':
      return remembered(op);
    case 'lead':
      return identity(op);
    case 'report':
      return [...identity(op), op.eligible ? '1' : '0', op.unreachable.join(',')];
    case 'evict':
      return [op.generation, String(op.incarnation), String(op.heartbeatSeen)];
    case 'replay':
      return [op.letter, op.force ? '1' : '0'];
    case 'purge':
      return op.limits === undefined ? [op.letter] : [op.letter, String(op.limits.max), String(op.limits.ttlMs)];
    case 'closeStore':
      return [op.generation];
    case 'ready':
      return [op.after, String(op.max)];
    case 'owned':
      return [String(op.incarnation), op.cursor];
    case 'lookup':
      return [op.entity, op.id, String(op.seq), op.generation ?? ''];
    case 'letters':
      return lettersArguments(op);
    case 'schemas':
      return [String(op.incarnation), op.type];
    case 'entity':
      return [op.entity, String(op.max)];
    case 'history':
      return [op.entity, op.cursor];
    case 'survey':
      return [op.cursor];
    case 'members':
      return [op.contractsAbove === undefined ? '' : String(op.contractsAbove)];
    case 'audit':
      return [String(op.incarnation), String(op.owned), op.cursor];
    case 'counts':
      return [];
  }
}

const identity = ({ generation, incarnation, token }: Identity): string[] => [generation, String(incarnation), token];

const remembered = (member: Remembered): string[] => [
  ...identity(member),
  String(member.lastHeartbeat),
  String(member.lastBatch),
];

function lettersArguments({ after, max, type, entity, reason, sinceMs, replayed }: LettersOp): string[] {
  const is = replayed === undefined ? '' : replayed ? '1' : '0';
  const filter = [type ?? '', entity ?? '', reason ?? '', sinceMs === undefined ? '' : String(sinceMs), is];
  return [after === '' ? '0' : String(Number(after)), String(max), ...filter];
}

function joinArguments(op: JoinOp): string[] {
  const { settings: s, contracts } = op;
  return [
    ...[op.serverId, op.group, op.address, op.token, String(op.schema), op.generation, String(op.workersMax)],
    ...[s.leaseTtlMs, s.takeoverHoldMs, s.entryTtlMs, s.resultTtlMs, s.depthMax, s.leaderTtlMs, s.leaderDebounceMs].map(String),
    contracts.map((c) => c.type).join(','),
    ...(op.former === undefined ? ['', '', '', '', ''] : remembered(op.former)),
    String(contracts.length),
    ...contracts.flatMap((c) => [c.type, contractRecord(c)]),
    ...(op.schemas ?? []).flatMap(({ type, text }) => [type, text]),
  ];
}

/** The scripts search for a name between two separators. The last field has none after it, so it is never taken for a name. */
export const contractRecord = (c: Contract): string =>
  [c.maxAttempts, c.onInterrupt, ...c.names, ...queriesOf(c), `${c.depthMax},${c.version ?? ''}`].join(FS);

/** Prefix of query names, which follow all names in a contract record. No message name contains it. */
const QUERY = '\x1d';
const queriesOf = ({ queries = [] }: Contract): string[] => queries.map((name) => `${QUERY}${name}`);

function decodeContract(row: string): MembersAnswer['contracts'][number] {
  const [incarnation, type, maxAttempts, onInterrupt, ...rest] = row.split(FS);
  const [depthMax, version] = rest.at(-1)!.split(',');
  const names = rest.slice(0, -1);
  const queries = names.filter((name) => name.startsWith(QUERY)).map((name) => name.slice(QUERY.length));
  const contract: Contract = {
    type: type!,
    maxAttempts: Number(maxAttempts),
    onInterrupt: onInterrupt as Contract['onInterrupt'],
    names: names.filter((name) => !name.startsWith(QUERY)),
    ...(queries.length === 0 ? {} : { queries }),
    depthMax: Number(depthMax),
    ...(version === '' ? {} : { version: version! }),
  };
  return { incarnation: Number(incarnation), contract };
}

export function decodeControl(op: ControlOp, text: string): ControlAnswer {
  const refused = refusalOf(text);
  if (refused !== undefined) return refused;
  const f = text.split(FS);
  switch (op.op) {
    case 'join':
      return {
        ok: true,
        incarnation: Number(f[0]),
        generation: f[1] ?? fail(text),
        nowMs: Number(f[2]),
        leaseUntilMs: Number(f[3]),
        counters: countersAt(f, 4),
      };
    case 'heartbeat':
      return { ok: true, nowMs: Number(f[0]), leaseUntilMs: Number(f[1]), counters: countersAt(f, 2) };
    case 'leave':
    case 'report':
    case 'purge':
    case 'closeStore':
      return { ok: true };
    case 'evict':
      return { ok: true, count: Number(text) };
    case 'lead':
      return { ok: true, epoch: Number(f[0]), untilMs: Number(f[1]) };
    case 'replay':
      return { ok: true, id: f[0] ?? fail(text), seq: Number(f[1]) };
    case 'members':
      return decodeMembers(text);
    case 'ready':
      return decodeReady(f);
    case 'owned':
      return { ok: true, cursor: f[0] ?? fail(text), entities: f.slice(1) };
    case 'lookup':
      return { ok: true, state: f[0] as KnownMessage['state'], result: f[1] ?? fail(text), error: f[2] ?? fail(text) };
    case 'letters':
      return decodeLetters(text);
    case 'schemas':
      return { ok: true, text };
    case 'entity':
      return decodeEntity(text);
    case 'history':
      return decodeHistory(text);
    case 'survey':
      return decodeSurvey(text);
    case 'audit':
      return decodeAudit(f);
    case 'counts': {
      const [depth, active, entities, letters, kept, lastLetter] = f.map(Number);
      return {
        ok: true,
        depth: depth!,
        active: active!,
        entities: entities!,
        letters: letters!,
        kept: kept!,
        lastLetter: lastLetter!,
      };
    }
  }
}

function fail(text: string): never {
  throw malformed(text);
}

function countersAt(f: readonly string[], at: number): Counters {
  const [incarnation, fence, epoch, letter] = f.slice(at, at + 4).map(Number);
  return { incarnation: incarnation!, fence: fence!, epoch: epoch!, letter: letter! };
}

function decodeReady([next, ...f]: readonly string[]): ReadyAnswer {
  const entities: ReadyAnswer['entities'][number][] = [];
  for (let i = 0; i + 2 < f.length; i += 3) entities.push({ entity: f[i]!, owner: Number(f[i + 1]), sinceMs: Number(f[i + 2]) });
  return { ok: true, entities, next: next! };
}

function decodeMembers(text: string): MembersAnswer {
  const [head, ...rows] = text.split(RS);
  const [now, count, leaderCount, generation] = head!.split(FS);
  const members = rows.splice(0, Number(count)).map((row): Member => {
    const [incarnation, owns, serverId, group, address, , , , heartbeat, leaseUntil, dead, types, eligible, unreachable] =
      row.split(FS);
    return {
      incarnation: Number(incarnation),
      serverId: serverId!,
      group: group!,
      address: address!,
      heartbeat: Number(heartbeat),
      leaseUntilMs: Number(leaseUntil),
      dead: dead === '1',
      owns: Number(owns),
      types: types === '' ? [] : types!.split(','),
      eligible: eligible === '1',
      unreachable: unreachable === '' ? [] : unreachable!.split(',').map(Number),
    };
  });
  const leaders = rows.splice(0, Number(leaderCount)).map((row): Leader => {
    const [group, incarnation, epoch, until] = row.split(FS);
    return { group: group!, incarnation: Number(incarnation), epoch: Number(epoch), untilMs: Number(until) };
  });
  members.sort((a, b) => a.incarnation - b.incarnation);
  leaders.sort((a, b) => a.epoch - b.epoch);
  const contracts = rows.map(decodeContract);
  contracts.sort((a, b) => a.incarnation - b.incarnation);
  return { ok: true, generation: generation!, nowMs: Number(now), members, leaders, contracts };
}

function decodeLetters(text: string): LettersAnswer {
  const [next, ...rows] = text.split(RS);
  const letters = rows.map((row): Letter => {
    const f = row.split(FS);
    return {
      id: f[0]!,
      entity: f[1]!,
      reason: f[2] as Letter['reason'],
      error: f[3]!,
      incarnation: Number(f[4]),
      diedAtMs: Number(f[5]),
      late: f[6]!,
      lateDetail: f[7]!,
      replayedAs: f[8]!,
      message: messageAt(f, 10, Number(f[9])),
    };
  });
  return { ok: true, letters, next: next! };
}

function decodeEntity(text: string): EntityAnswer {
  const [head, ...rows] = text.split(RS);
  const [owner, fence, hold, pendingCount, runs] = head!.split(FS).map(Number);
  const messages = rows.map((row) => {
    const f = row.split(FS);
    return messageAt(f, 1, Number(f[0]));
  });
  const running = runs === 1 ? messages.shift() : undefined;
  return {
    ok: true,
    owner: owner!,
    fence: fence!,
    holdUntilMs: hold!,
    running,
    pendingCount: pendingCount!,
    pending: messages,
  };
}

function decodeHistory(text: string): HistoryAnswer {
  const [cursor, ...rows] = text.split(RS);
  const ended = rows.map((row) => {
    const [id, seq, state, expiresAt] = row.split(FS);
    return { id: id!, seq: Number(seq), state: state as KnownMessage['state'], expiresAtMs: Number(expiresAt) };
  });
  return { ok: true, cursor: cursor!, ended };
}

function decodeSurvey(text: string): SurveyAnswer {
  const [cursor, ...rows] = text.split(RS);
  const types: SurveyAnswer['types'][number][] = [];
  const running: SurveyAnswer['running'][number][] = [];
  for (const row of rows) {
    const [type, second, third, fourth] = row.split(FS);
    if (type === '') running.push({ entity: second!, pending: Number(third) });
    else types.push({ type: type!, entities: Number(second), running: Number(third), pending: Number(fourth) });
  }
  return { ok: true, cursor: cursor!, types, running };
}

function decodeAudit(f: readonly string[]): AuditAnswer {
  const unready: AuditAnswer['unready'][number][] = [];
  for (let i = 2; i + 1 < f.length; i += 2) unready.push({ entity: f[i]!, owner: Number(f[i + 1]) });
  const [cursor = '0', missing = ''] = f;
  return { ok: true, missing: missing === '' ? [] : missing.split(','), unready, cursor };
}
