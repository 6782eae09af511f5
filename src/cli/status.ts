/** status and entity show: what the log holds now. The log changes while it is read, so counts are nearly those of one moment. */
import { entityKeyOf, idOfKey, typeOfKey, unescapeId } from '../core/ids.js';
import type { EntityAnswer, HistoryAnswer, Leader, Member, MembersAnswer, SurveyAnswer } from '../core/log/control-operations.js';
import type { MessageRecord } from '../core/log/operations.js';
import type { Store } from '../ports/store.js';
import { DeadLetterBox } from '../runtime/dead-letters.js';
import type { Connected } from './connect.js';
import { CommandError, counted, durationText, shellWord, shortened, type Terminal, timeText } from './terminal.js';

/**
 * Age in ms at which an entity counts as blocked. A running entity may be blocked if its running message was logged that long
 * ago; the log does not keep when the message began. A waiting entity is blocked if its next message could have begun since then.
 */
const BLOCKED_AFTER_MS = 30_000;
/** Maximum number of entities checked per state: running ones with most pending messages, waiting ones with the longest wait. */
const LOOKED_AT_MAX = 200;
const READY_PAGE = 500;
const READY_PAGES_MAX = 20;
const SHOWN_PENDING_MAX = 20;
const SHOWN_LETTERS_MAX = 20;
const SHOWN_ENDED_MAX = 20;

interface TypeCount {
  type: string;
  entities: number;
  running: number;
  pending: number;
}

interface Survey {
  readonly types: readonly TypeCount[];
  /** The running entities with most pending messages. */
  readonly running: SurveyAnswer['running'];
}

async function survey({ store }: Connected): Promise<Survey> {
  const types = new Map<string, TypeCount>();
  let running: SurveyAnswer['running'][number][] = [];
  for (let cursor = ''; cursor !== '0'; ) {
    const page: SurveyAnswer = await store.control({ op: 'survey', cursor: cursor === '' ? '0' : cursor });
    cursor = page.cursor;
    for (const { type, ...counts } of page.types) {
      const sum = types.get(type) ?? { type, entities: 0, running: 0, pending: 0 };
      types.set(type, sum);
      sum.entities += counts.entities;
      sum.running += counts.running;
      sum.pending += counts.pending;
    }
    running.push(...page.running);
    if (running.length > 10 * LOOKED_AT_MAX) running = most(running);
  }
  return { types: [...types.values()].sort((a, b) => (a.type < b.type ? -1 : 1)), running: most(running) };
}

const most = (running: SurveyAnswer['running'][number][]): SurveyAnswer['running'][number][] =>
  running.sort((a, b) => b.pending - a.pending).slice(0, LOOKED_AT_MAX);

interface Blocked {
  readonly entityType: string;
  readonly entityId: string;
  readonly state: 'running' | 'waiting';
  /** Name of the running message, or of the next one to run. */
  readonly name: string;
  readonly messageId: string;
  readonly loggedMsAgo: number;
  /** Number of messages that wait behind that message. */
  readonly pending: number;
  readonly owner: string;
}

async function blockedOf({ store }: Connected, { running, types }: Survey, view: MembersAnswer) {
  const { waiting, isAll: isAllWaiting } = await waitingOf(store, view.nowMs);
  const found: Blocked[] = [];
  const look = async (entity: string, state: Blocked['state']): Promise<void> => {
    const answer = await store.control({ op: 'entity', entity, max: 1 });
    // The entity may have changed its state since the survey.
    if (!answer.ok || (state === 'running') !== (answer.running !== undefined)) return;
    const [message, pending] =
      state === 'running' ? [answer.running, answer.pendingCount] : [answer.pending[0], answer.pendingCount - 1];
    if (message === undefined || view.nowMs - message.enqueuedAtMs < BLOCKED_AFTER_MS) return;
    const { name, id, enqueuedAtMs } = message;
    found.push({
      ...{ entityType: typeOfKey(entity), entityId: idOfKey(entity), state, name, messageId: unescapeId(id) },
      ...{ loggedMsAgo: view.nowMs - enqueuedAtMs, pending, owner: ownerText(answer.owner, view.members) },
    });
  };
  // Sequential: all reads at once would be one long command for the clients behind them.
  for (const { entity } of running) await look(entity, 'running');
  for (const entity of waiting) await look(entity, 'waiting');
  const runningCount = types.reduce((count, type) => count + type.running, 0);
  const isAll = running.length >= runningCount && isAllWaiting;
  return { blocked: found.sort((a, b) => b.loggedMsAgo - a.loggedMsAgo), isAll };
}

/** Returns at most LOOKED_AT_MAX entities whose next message could have begun for at least BLOCKED_AFTER_MS. */
async function waitingOf(store: Store, nowMs: number): Promise<{ waiting: string[]; isAll: boolean }> {
  const waiting: string[] = [];
  let after = '';
  for (let pages = 0; pages < READY_PAGES_MAX; pages++) {
    const page = await store.control({ op: 'ready', after, max: READY_PAGE });
    for (const { entity, sinceMs } of page.entities) if (nowMs - sinceMs >= BLOCKED_AFTER_MS) waiting.push(entity);
    after = page.next;
    if (after === '' || waiting.length >= LOOKED_AT_MAX) break;
  }
  return { waiting: waiting.slice(0, LOOKED_AT_MAX), isAll: after === '' && waiting.length <= LOOKED_AT_MAX };
}

function ownerText(incarnation: number, members: readonly Member[]): string {
  if (incarnation === 0) return 'nobody';
  const member = members.find((m) => m.incarnation === incarnation);
  return member === undefined ? `incarnation ${incarnation}` : `${member.serverId}${member.dead ? ' (dead)' : ''}`;
}

interface NodeRow {
  readonly serverId: string;
  readonly serviceGroup: string;
  readonly incarnation: number;
  readonly role: 'master' | 'replica' | 'producer' | 'dead' | 'lapsed';
  /** Epoch in which this node is master; null for other roles. */
  readonly epoch: number | null;
  readonly leaseLeftMs: number;
  readonly owns: number;
  readonly types: readonly string[];
  readonly address: string;
}

function nodeOf(member: Member, { nowMs, leaders }: MembersAnswer): NodeRow {
  const leads = (l: Leader): boolean => l.incarnation === member.incarnation && l.untilMs > nowMs;
  const leader = leaders.find(leads);
  const leaseLeftMs = member.leaseUntilMs - nowMs;
  const alive = leader !== undefined ? 'master' : member.types.length === 0 ? 'producer' : 'replica';
  const { serverId, group: serviceGroup, incarnation, owns, types, address } = member;
  const role = member.dead ? 'dead' : leaseLeftMs <= 0 ? 'lapsed' : alive;
  return { ...{ serverId, serviceGroup, incarnation, role, epoch: leader?.epoch ?? null }, leaseLeftMs, owns, types, address };
}

export async function status(connected: Connected, terminal: Terminal): Promise<void> {
  const { store } = connected;
  const [counts, view] = await Promise.all([store.control({ op: 'counts' }), store.control({ op: 'members' })]);
  const surveyed = await survey(connected);
  const { types } = surveyed;
  const { blocked, isAll } = await blockedOf(connected, surveyed, view);
  const nodes = view.members.map((member) => nodeOf(member, view));
  const { depth: messages, active: entities, letters: deadLetters } = counts;
  const totals = { messages, entities, deadLetters };
  terminal.answer({ nodes, types, totals, blocked, blockedIsAll: isAll, shut: connected.isStoreClosed }, () =>
    [
      nodes.length === 0 ? terminal.paint('yellow', 'no node is there') : nodeTable(nodes, terminal),
      '',
      types.length === 0 ? 'no entity is active or owned' : typeTable(types, terminal),
      '',
      `waiting or running: ${counted(messages, 'message')}; ${counted(deadLetters, 'dead letter')}`,
      ...(blocked.length === 0 ? [] : ['', terminal.paint('yellow', BLOCKED_TEXT), blockedTable(blocked, terminal)]),
      ...(isAll ? [] : [`only ${LOOKED_AT_MAX} of those that run, and as many of those that wait, were looked at`]),
    ].join('\n'),
  );
}

const BLOCKED_TEXT = `may be blocked: what runs was logged more than ${BLOCKED_AFTER_MS / 1000} s ago, what waits could have begun since then`;

const nodeTable = (nodes: readonly NodeRow[], terminal: Terminal): string =>
  terminal.table(
    ['NODE', 'GROUP', 'INCARNATION', 'ROLE', 'EPOCH', 'LEASE', 'OWNS', 'TYPES'],
    nodes.map((n) => [
      ...[n.serverId, n.serviceGroup, String(n.incarnation), n.role, n.epoch === null ? '' : String(n.epoch)],
      ...[n.leaseLeftMs > 0 ? durationText(n.leaseLeftMs) : `over for ${durationText(-n.leaseLeftMs)}`, String(n.owns)],
      n.types.join(', '),
    ]),
  );

const typeTable = (types: readonly TypeCount[], terminal: Terminal): string =>
  terminal.table(
    ['TYPE', 'ENTITIES', 'RUNNING', 'PENDING'],
    types.map((t) => [t.type, String(t.entities), String(t.running), String(t.pending)]),
  );

const blockedTable = (blocked: readonly Blocked[], terminal: Terminal): string =>
  terminal.table(
    ['ENTITY', 'STATE', 'MESSAGE', 'LOGGED', 'BEHIND IT', 'OWNER'],
    blocked.map((b) => [
      ...[shortened(`${b.entityType}:${b.entityId}`, 40), b.state, b.name],
      ...[`${durationText(b.loggedMsAgo)} ago`, String(b.pending), b.owner],
    ]),
  );

interface ShownMessage {
  readonly messageId: string;
  readonly name: string;
  readonly sequence: number;
  readonly attempt: number;
  readonly enqueuedAtMs: number;
  readonly replayOf: string | null;
}

const messageOf = ({ id, name, seq, attempt, enqueuedAtMs, replayOf }: MessageRecord): ShownMessage => ({
  ...{ messageId: unescapeId(id), name, sequence: seq, attempt, enqueuedAtMs, replayOf: replayOf === '' ? null : replayOf },
});

interface History {
  /** The newest ended messages, at most SHOWN_ENDED_MAX, oldest first. */
  readonly ended: HistoryAnswer['ended'];
  readonly endedCount: number;
}

async function historyOf({ store }: Connected, entity: string): Promise<History> {
  let [ended, endedCount]: [HistoryAnswer['ended'], number] = [[], 0];
  for (let cursor = ''; cursor !== '0'; ) {
    const page: HistoryAnswer = await store.control({ op: 'history', entity, cursor: cursor === '' ? '0' : cursor });
    cursor = page.cursor;
    endedCount += page.ended.length;
    ended = [...ended, ...page.ended].sort((a, b) => a.seq - b.seq).slice(-SHOWN_ENDED_MAX);
  }
  return { ended, endedCount };
}

export async function showEntity(connected: Connected, terminal: Terminal, type: string, id: string): Promise<void> {
  const { store, clock } = connected;
  const entity = entityKeyOf(type, id);
  const [record, view] = await Promise.all([
    store.control({ op: 'entity', entity, max: SHOWN_PENDING_MAX }),
    store.control({ op: 'members' }),
  ]);
  const history = await historyOf(connected, entity);
  const ended = history.ended.map(({ id: messageId, seq, state }) => ({
    ...{ messageId: unescapeId(messageId), sequence: seq, state },
  }));
  // Read one more than is shown, to know whether there are more.
  const filter = { entityType: type, entityId: id, limit: SHOWN_LETTERS_MAX + 1 };
  const { letters } = await new DeadLetterBox(store, clock).list(filter);
  const shownLetters = letters.slice(0, SHOWN_LETTERS_MAX);
  const deadLettersNext = letters.length > shownLetters.length ? (shownLetters.at(-1)?.id ?? null) : null;
  const deadLetters = shownLetters.map((l) => ({
    ...{ id: l.id, messageId: l.messageId, sequence: l.sequence, name: l.name, reason: l.reason, replayedAs: l.replayedAs },
  }));
  if (!record.ok && ended.length === 0 && deadLetters.length === 0)
    throw new CommandError(
      `the log knows nothing of ${type} ${JSON.stringify(id)}: it never was, or it is idle and nothing of it is kept`,
    );
  const live = record.ok ? record : NOTHING_LIVE;
  const shown = {
    ...{ entityType: type, entityId: id, owner: ownerText(live.owner, view.members), incarnation: live.owner, fence: live.fence },
    heldUntilMs: live.holdUntilMs > view.nowMs ? live.holdUntilMs : null,
    running: live.running === undefined ? null : messageOf(live.running),
    ...{ pendingCount: live.pendingCount, pending: live.pending.map(messageOf) },
    history: { ended, endedCount: history.endedCount, deadLetters, deadLettersNext },
  };
  terminal.answer(shown, () => entityText(shown, view.nowMs));
}

const NOTHING_LIVE: EntityAnswer = {
  ...{ ok: true, owner: 0, fence: 0, holdUntilMs: 0, running: undefined, pendingCount: 0, pending: [] },
};

interface ShownEntity {
  readonly entityType: string;
  readonly entityId: string;
  readonly owner: string;
  readonly incarnation: number;
  readonly fence: number;
  readonly heldUntilMs: number | null;
  readonly running: ShownMessage | null;
  readonly pendingCount: number;
  readonly pending: readonly ShownMessage[];
  readonly history: {
    readonly ended: readonly { readonly messageId: string; readonly sequence: number; readonly state: string }[];
    readonly endedCount: number;
    readonly deadLetters: readonly {
      readonly id: string;
      readonly sequence: number;
      readonly name: string;
      readonly reason: string;
      readonly replayedAs: string | null;
    }[];
    /** Value of `--after` for the remaining dead letters; null if all are shown. */
    readonly deadLettersNext: string | null;
  };
}

function entityText(shown: ShownEntity, nowMs: number): string {
  const { entityType, entityId, owner, incarnation, fence, heldUntilMs, running, pendingCount, pending, history } = shown;
  const line = (m: ShownMessage): string =>
    `#${m.sequence} ${m.name} ${shortened(m.messageId, 60)} (attempt ${m.attempt}, logged ${durationText(nowMs - m.enqueuedAtMs)} ago)`;
  const { ended, endedCount, deadLetters, deadLettersNext } = history;
  return [
    `owner    ${incarnation === 0 ? owner : `${owner}, incarnation ${incarnation}, fence ${fence}`}`,
    ...(heldUntilMs === null ? [] : [`held     until ${timeText(heldUntilMs)}, after a take-over`]),
    `running  ${running === null ? '-' : line(running)}`,
    `pending  ${pendingCount}`,
    ...pending.map((m) => `         ${line(m)}`),
    ...(pendingCount > pending.length ? [`         … and ${pendingCount - pending.length} more`] : []),
    ...(endedCount > ended.length ? [`ended    ${endedCount - ended.length} earlier ones are not shown`] : []),
    ...ended.map((m) => `ended    #${m.sequence} ${shortened(m.messageId, 60)} ${m.state}`),
    ...deadLetters.map(
      (l) => `letter   ${l.id}: #${l.sequence} ${l.name} ${l.reason}${l.replayedAs === null ? '' : ', replayed'}`,
    ),
    ...(deadLettersNext === null
      ? []
      : [`         … and more: dlq list --type ${entityType} --entity ${shellWord(entityId)} --after ${deadLettersNext}`]),
  ].join('\n');
}
