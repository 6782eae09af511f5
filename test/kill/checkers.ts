/** The invariants of the design, asked of a history. Each checker is shown to fail on broken histories in checkers.spec.ts. */
import { checkEffects } from './effects-checker.js';
import { type Facts, type HandlerRun, isWithdrawn, type Message, saysAccepted, type Verdict } from './facts.js';
import type { Violation } from './history.js';
import { TYPES } from './plan.js';
import type { Told } from './record.js';

type Report = (what: string) => void;
type Found = Violation[];

/** So many must have hit something. */
const KILLS_MANY = 10;

const maxAttempts = (message: Message): number => TYPES[message.plan.type].maxAttempts;
const shown = (run: HandlerRun): string =>
  `${run.ref} seq ${run.seq} attempt ${run.attempt} (run ${run.run}, fence ${run.fence})`;

function reporter(found: Found, invariant: Violation['invariant'], entity: string): Report {
  return (what) => void found.push({ invariant, entity, what });
}

/** I1: at most `maxAttempts` starts, each attempt once, none after the message was terminal. */
export function checkAtMostOnce(facts: Facts): Found {
  const found: Found = [];
  for (const message of facts.messages.values()) {
    const report = reporter(found, 'I1', message.entity);
    const { runs, ref } = message;
    if (runs.length > maxAttempts(message)) report(`${ref} was started ${runs.length} times, allowed: ${maxAttempts(message)}`);
    for (let i = 1; i < runs.length; i++) checkPair(facts, runs[i - 1] as HandlerRun, runs[i] as HandlerRun, report);
    const positions = new Set(runs.map(({ id, seq }) => `${id} seq ${seq}`));
    if (positions.size > 1) report(`${ref} is in the log more than once: ${[...positions].join(', ')}`);
    const last = runs.at(-1);
    if (last !== undefined) checkNotAfterVerdict(message, last, report);
  }
  for (const stranger of facts.strangers)
    reporter(found, 'I1', stranger.entity)(`${stranger.ref || stranger.id} seq ${stranger.seq} was never sent by anybody`);
  return found;
}

function checkPair(facts: Facts, before: HandlerRun, after: HandlerRun, report: Report): void {
  if (after.attempt <= before.attempt) report(`${shown(after)} started after ${shown(before)}`);
  if (before.end?.how === 'threw') return;
  if (facts.lostUs(before) > after.atUs) report(`${shown(after)} started, though ${shown(before)} had not failed`);
}

function checkNotAfterVerdict(message: Message, last: HandlerRun, report: Report): void {
  for (const { told } of message.calls) {
    if (told === undefined || told.atUs >= last.atUs || !isTerminalNews(told)) continue;
    report(`${shown(last)} started after a caller was told ${told.code ?? told.verdict}`);
  }
}

const isTerminalNews = (told: Told): boolean => told.verdict === 'result' || (told.verdict === 'error' && saysAccepted(told));

/** I2: handlers of one entity never overlap, across processes; a handler ends with its process. I2f: fences only grow. */
export function checkSingleWriter(facts: Facts): Found {
  const found: Found = [];
  for (const [entity, runs] of facts.byEntity) {
    for (let i = 1; i < runs.length; i++) {
      const [before, after] = [runs[i - 1] as HandlerRun, runs[i] as HandlerRun];
      // I2 assumes that no process stands still past its lease with a handler running.
      if (facts.endUs(before) > after.atUs && facts.lostUs(before) > after.atUs)
        reporter(found, 'I2', entity)(`${shown(after)} started while ${shown(before)} ran`);
      if (after.fence < before.fence) reporter(found, 'I2f', entity)(`${shown(after)} started after ${shown(before)}`);
      if (after.fence === before.fence && after.run !== before.run)
        reporter(found, 'I2f', entity)(`${shown(after)} has the fence of another process: ${shown(before)}`);
    }
  }
  return found;
}

/** I3: handlers start in log order, and the log has the order of the calls. */
export function checkOrder(facts: Facts): Found {
  const found: Found = [];
  for (const [entity, runs] of facts.byEntity) {
    for (let i = 1; i < runs.length; i++) {
      const [before, after] = [runs[i - 1] as HandlerRun, runs[i] as HandlerRun];
      const isNext = after.seq > before.seq || (after.seq === before.seq && after.attempt > before.attempt);
      if (!isNext) reporter(found, 'I3', entity)(`${shown(after)} started after ${shown(before)}`);
    }
  }
  return [...found, ...checkLogOrder(facts)];
}

interface Place {
  readonly ref: string;
  readonly seq: number;
  readonly run: number;
  readonly invokedUs: number;
  readonly toldUs: number;
}

/** What one process sends to an entity is logged in call order; what was acknowledged comes before what is called later. */
function checkLogOrder(facts: Facts): Found {
  const found: Found = [];
  const byEntity = new Map<string, Place[]>();
  for (const message of facts.messages.values()) {
    const [call] = message.calls;
    const seq = seqOf(message);
    if (call === undefined || seq === undefined || message.calls.length > 1) continue;
    const toldUs = saysAccepted(call.told) ? (call.told as Told).atUs : Number.POSITIVE_INFINITY;
    const place = { ref: message.ref, seq, run: call.run, invokedUs: call.atUs, toldUs };
    const places = byEntity.get(message.entity);
    if (places === undefined) byEntity.set(message.entity, [place]);
    else places.push(place);
  }
  for (const [entity, places] of byEntity) {
    places.sort((a, b) => b.seq - a.seq);
    const report = reporter(found, 'I3', entity);
    const firstOfRun = new Map<number, Place>();
    let firstTold: Place | undefined;
    for (const place of places) {
      if (firstTold !== undefined && firstTold.toldUs < place.invokedUs)
        report(`${place.ref} (seq ${place.seq}) was called after ${firstTold.ref} (seq ${firstTold.seq}) was acknowledged`);
      const later = firstOfRun.get(place.run);
      if (later !== undefined && later.invokedUs < place.invokedUs)
        report(`${place.ref} (seq ${place.seq}) was called after ${later.ref} (seq ${later.seq}) by the same process`);
      if (firstTold === undefined || place.toldUs < firstTold.toldUs) firstTold = place;
      if (later === undefined || place.invokedUs < later.invokedUs) firstOfRun.set(place.run, place);
    }
  }
  return found;
}

const seqOf = (message: Message): number | undefined =>
  message.runs[0]?.seq ?? message.letters[0]?.seq ?? message.calls.find(({ told }) => told?.seq !== undefined)?.told?.seq;

/** I4: every accepted message has exactly one verdict, with the evidence that belongs to it; its sends follow it. */
export function checkNothingLost(facts: Facts): Found {
  const found: Found = [];
  for (const message of facts.messages.values()) {
    const report = reporter(found, 'I4', message.entity);
    const verdict = facts.verdictOf(message);
    const { parent, ref, letters } = message;
    if (letters.length > 1) report(`${ref} has ${letters.length} dead letters`);
    if (verdict !== 'none') checkEvidence(facts, message, verdict, report);
    for (const run of message.runs) checkInterrupted(facts, message, run, report);
    if (parent !== undefined && verdict !== 'none' && facts.verdictOf(parent) !== 'completed')
      report(`${ref} was sent, though its sender ${parent.ref} is ${facts.verdictOf(parent)}`);
  }
  return found;
}

function checkEvidence(facts: Facts, message: Message, verdict: Verdict, report: Report): void {
  const { ref, runs, stored } = message;
  const [letter] = message.letters;
  const last = runs.at(-1);
  if (verdict === 'lost') {
    const why = stored === undefined ? 'it has neither a completed handler nor a dead letter' : `the store says ${stored}`;
    report(`${ref} was accepted and is lost: ${why}`);
  }
  if (verdict === 'completed' && last?.end?.how !== 'ok') report(`${ref} is completed, but its last handler did not end well`);
  if (verdict === 'withdrawn' && message.plan.type === 'account' && last !== undefined)
    report(`${ref} is withdrawn, but it was started: ${shown(last)}`);
  const needsLetter = verdict === 'failed' || verdict === 'interrupted';
  if (needsLetter && letter === undefined) report(`${ref} is ${verdict} and has no dead letter`);
  if (letter === undefined) return;
  if (letter.reason !== verdict) report(`${ref} is ${verdict}, but its dead letter says ${letter.reason}`);
  if (letter.attempt !== maxAttempts(message)) report(`${ref} became a dead letter at attempt ${letter.attempt} already`);
  if (verdict === 'failed' && (last?.end?.how !== 'threw' || last.attempt !== letter.attempt))
    report(`${ref} is failed, but its last handler did not throw`);
  if (verdict === 'interrupted' && last?.attempt === letter.attempt && facts.lostUs(last) === Number.POSITIVE_INFINITY)
    report(`${ref} is interrupted, but the process that ran it was neither killed nor stalled past its lease: ${shown(last)}`);
}

/** What was running at a kill is one dead letter, or the next attempt where interruptions are retried. */
function checkInterrupted(facts: Facts, message: Message, run: HandlerRun, report: Report): void {
  if (run.end !== undefined) return;
  if (facts.killedUs(run.run) === Number.POSITIVE_INFINITY) {
    report(`${shown(run)} never ended, and its process was not killed`);
    return;
  }
  if (run.attempt < maxAttempts(message)) return;
  const verdict = facts.verdictOf(message);
  if (verdict !== 'interrupted') report(`${shown(run)} was running at the kill, but it is ${verdict}`);
}

/** I5: what callers were told agrees with what happened. */
export function checkOneVerdict(facts: Facts): Found {
  const found: Found = [];
  for (const message of facts.messages.values()) {
    const report = reporter(found, 'I5', message.entity);
    const verdict = facts.verdictOf(message);
    for (const { told } of message.calls) if (told !== undefined) checkTold(message, told, verdict, report);
    const places = new Set(
      message.calls.flatMap(({ told }) => (told?.verdict === 'receipt' ? [`${told.id} seq ${told.seq}`] : [])),
    );
    for (const { id, seq } of [...message.runs, ...message.letters]) if (places.size > 0) places.add(`${id} seq ${seq}`);
    if (places.size > 1) report(`${message.ref}: receipts and log disagree: ${[...places].join(', ')}`);
    const refused = message.calls.length > 0 && message.calls.every(({ told }) => told?.definite === true && !saysAccepted(told));
    if (refused && verdict !== 'none') report(`${message.ref} was refused definitely by every call, and is ${verdict}`);
  }
  return found;
}

/** Codes that a caller may meet in this campaign without the message having an outcome. */
const EXPECTED_CODES = new Set([
  'OUTCOME_UNKNOWN',
  'REPLY_TIMEOUT',
  'STORE_UNAVAILABLE',
  'SHUTTING_DOWN',
  'QUEUE_DEPTH_EXCEEDED',
]);
const VERDICT_OF_CODE: Readonly<Record<string, Verdict>> = {
  HANDLER_FAILED: 'failed',
  INTERRUPTED: 'interrupted',
  WITHDRAWN: 'withdrawn',
};

function checkTold(message: Message, told: Told, verdict: Verdict, report: Report): void {
  const { ref } = message;
  if (told.verdict === 'receipt') {
    if (verdict === 'lost') report(`${ref} got a receipt, but it is ${verdict}`);
    return;
  }
  if (told.verdict === 'result') {
    if (told.ref !== ref) report(`${ref} got the result of ${told.ref}`);
    if (verdict !== 'completed') report(`${ref} got a result, but it is ${verdict}`);
    const end = message.runs.findLast(({ end }) => end?.how === 'ok')?.end;
    if (end === undefined || end.atUs > told.atUs) report(`${ref} got a result before any handler had ended well`);
    return;
  }
  // What never left its process is in no log, unless another call has brought it there.
  if (isWithdrawn(told) && (verdict === 'none' || message.calls.length > 1)) return;
  const expected = isWithdrawn(told) ? 'withdrawn' : VERDICT_OF_CODE[told.code ?? ''];
  if (expected !== undefined && verdict !== expected) report(`a caller of ${ref} was told ${told.code}, but it is ${verdict}`);
  if (expected === undefined && !EXPECTED_CODES.has(told.code ?? ''))
    report(`a caller of ${ref} was told ${told.code}: ${told.text}`);
}

/** I7 at the end: nothing is queued, nobody is left; and the library did not contradict itself in its own log. */
export function checkBaseline({ history }: Facts): Found {
  const found: Found = [];
  const { counts, letters, members } = history.final;
  if (counts.depth !== 0) reporter(found, 'I7', '')(`${counts.depth} messages are queued when all has ended`);
  if (counts.active !== 0) reporter(found, 'I7', '')(`${counts.active} entities count as active when all has ended`);
  if (counts.letters !== letters.length) reporter(found, 'I7', '')(`${counts.letters} letters counted, ${letters.length} listed`);
  if (members !== 0) reporter(found, 'I7', '')(`${members} members are left after the last one has left`);
  for (const event of history.events) {
    if (event.kind === 'logged' && (event.level === 'error' || event.text.startsWith('loop-failed')))
      reporter(found, 'campaign', '')(`run ${event.run} logged: ${event.text}`);
    if (event.kind === 'exit' && !event.killed && event.code !== 0)
      reporter(found, 'campaign', '')(`run ${event.run} ended by itself with exit code ${event.code}`);
  }
  return found;
}

/** Kills that caught no handler prove little. */
function checkMet(facts: Facts): Found {
  const found: Found = [];
  const isCaught = [...facts.byEntity.values()].some((runs) => runs.some(({ end }) => end === undefined));
  if (facts.kills >= KILLS_MANY && !isCaught) reporter(found, 'campaign', '')(`no handler ran at any of ${facts.kills} kills`);
  return found;
}

export const checkAll = (facts: Facts): Violation[] => [
  ...checkAtMostOnce(facts),
  ...checkSingleWriter(facts),
  ...checkOrder(facts),
  ...checkNothingLost(facts),
  ...checkOneVerdict(facts),
  ...checkEffects(facts),
  ...checkBaseline(facts),
  ...checkMet(facts),
];
