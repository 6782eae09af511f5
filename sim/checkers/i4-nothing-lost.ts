import type { Appended } from '../history.js';
import { keyMissed } from './i4-lost-key.js';
import { type EntityView, type Findings, isTerminal, type View } from './view.js';

/** I4: an accepted message reaches exactly one terminal state and is visible until then; each bad end is one dead letter. */
export function nothingLost(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY) {
    if (view.lostKey === undefined) lossNoticed(view, findings);
    else keyMissed(view, findings);
    return;
  }
  const live = new Set((view.final?.live ?? []).map(([entity, seq]) => `${entity} ${seq}`));
  for (const entity of view.entities.values()) {
    checkEnds(view, entity, live, findings);
    checkLetters(entity, findings);
    checkSends(view, entity, findings);
  }
  checkReceipts(view, findings);
  checkDrops(view, findings);
}

function checkEnds(view: View, entity: EntityView, live: ReadonlySet<string>, findings: Findings): void {
  const ends = new Map<number, string>();
  for (const { seq, to, index } of entity.transitions) {
    if (!isTerminal(to)) continue;
    const before = ends.get(seq);
    if (before !== undefined) findings.violated('I4', `${entity.entity} #${seq} is ${to} after it was ${before}`, index);
    ends.set(seq, to);
  }
  if (view.final === undefined) return;
  for (const { seq, index } of entity.appends)
    if (!ends.has(seq) && !live.has(`${entity.entity} ${seq}`))
      findings.violated('I4', `${entity.entity} #${seq} was accepted, has no end, and is gone from the log`, index);
}

/** Checks that each failure and each interruption leaves one dead letter. Only a failure by a refusal and a query leave none. */
function checkLetters({ entity, appends, transitions, letters, handlings }: EntityView, findings: Findings): void {
  const queries = new Set(appends.filter(({ isQuery = false }) => isQuery).map(({ seq }) => seq));
  const made = new Map<number, number>();
  for (const { seq } of letters) made.set(seq, (made.get(seq) ?? 0) + 1);
  for (const { seq, attempt, to, index, noDeadLetter = false } of transitions) {
    if (to !== 'failed' && to !== 'interrupted') continue;
    const n = made.get(seq) ?? 0;
    const ended = handlings.find(({ start }) => start.seq === seq && start.attempt === attempt)?.end;
    const isQuery = queries.has(seq);
    const isRefusal = to === 'failed' && (ended?.isRefusal === true || isQuery);
    if (isRefusal !== noDeadLetter)
      findings.violated(
        'I4',
        `${entity} #${seq} ${isRefusal ? 'was refused or is a query' : 'was no refusal and no query'}, and is logged as the other`,
        index,
      );
    else if (n !== (isRefusal || isQuery ? 0 : 1))
      findings.violated('I4', `${entity} #${seq} ended ${to} and left ${n} dead letters`, index);
  }
}

/**
 * Checks that a dead letter is deleted only past a limit of `deadLetters`: the oldest one while there are more than `max`, or one
 * that is at least `ttlMs` old by the store's clock. An operator purges only in scenarios, which record that as a fault.
 */
function checkDrops({ drops, entities, facts, purgedFromIndex }: View, findings: Findings): void {
  const { max, ttlMs } = facts.deadLetters ?? { max: 0, ttlMs: 0 };
  const gone = new Set<number>();
  const made = [...entities.values()].flatMap(({ letters }) => letters);
  for (const { letter, left, ageMs, index } of drops) {
    const isOldest = made.every((m) => m.index > index || Number(m.letter) >= Number(letter) || gone.has(Number(m.letter)));
    gone.add(Number(letter));
    if (index > purgedFromIndex) continue;
    if ((max > 0 && left >= max && isOldest) || (ttlMs > 0 && ageMs >= ttlMs)) continue;
    findings.violated(
      'I4',
      `dead letter ${letter} is deleted, with ${left} left, ${ageMs} ms old: it was within its limits`,
      index,
    );
  }
}

/** Checks that the sends of a handler's context are logged with its completion, each once, or not at all. */
function checkSends(view: View, { entity, transitions, handlings }: EntityView, findings: Findings): void {
  for (const { seq, to, index, sends = [] } of transitions) {
    if (to !== 'completed') continue;
    const ended = handlings.find((h) => h.start.seq === seq && h.end?.outcome === 'completed' && h.end.index < index);
    if (ended?.end === undefined) continue;
    if (ended.end.sends !== sends.length)
      findings.violated('I4', `${entity} #${seq} sent ${ended.end.sends} messages, ${sends.length} were logged`, index);
  }
  const { appends } = view.entity(entity);
  const seen = new Set<string>();
  for (const { id, index } of appends) {
    if (id.includes('/') && seen.has(id))
      findings.violated('I4', `${entity}: the transactional send ${id} is logged twice`, index);
    seen.add(id);
  }
}

/** Checks that every receipt is for a message that is in the log. */
function checkReceipts(view: View, findings: Findings): void {
  const logged = new Map<string, Appended>();
  for (const { appends } of view.entities.values()) for (const a of appends) if (a.replayOf === '') logged.set(a.call, a);
  for (const event of view.events) {
    if (event.kind !== 'ok' || event.seq === undefined) continue;
    const append = logged.get(event.call);
    if (append === undefined || append.index > event.index)
      findings.violated('I4', `call ${event.call} has a receipt for what was not in the log`, event.index);
  }
}

/**
 * Checks that every live node that had an acknowledgement of a lost write has noticed and closed, and that every other node has
 * closed once one of them closed the store. A loss that no live node remembers is excused (docs/invariants.md). A node that
 * joined an emptied store after the loss has lost nothing: it is a member of another store.
 */
function lossNoticed(view: View, findings: Findings): void {
  const last = view.events.at(-1)?.index ?? 0;
  const isNew = (node: string): boolean => view.isEmptied && (view.joined.get(node) ?? 0) > view.lossIndex;
  const remembers = (node: string): boolean => (view.rememberedBy?.has(node) ?? true) && !view.diedAfter(node, view.lossIndex);
  for (const { node, state } of view.final?.nodes ?? []) {
    if (state === 'closed' || state === 'down' || isNew(node)) continue;
    if (view.closedIndex < last || remembers(node))
      findings.violated('I4', `${node} is ${state}, though the store has lost acknowledged writes`, last);
    else findings.excuse('I4', 'no living node remembered what the store lost');
  }
}
