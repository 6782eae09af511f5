/** Steps on dead letters, lookup of a message by its id, and retention. */

import { GENERATED, typeOfKey, utf8Bytes } from '../ids.js';
import type {
  ControlAnswerOf,
  Letter,
  LetterFilter,
  LetterLimits,
  LettersAnswer,
  LettersOp,
  LookupOp,
  PurgeOp,
  ReplayOp,
} from './control-operations.js';
import { accept } from './entity.js';
import { CLOSED } from './membership.js';
import { type AppendOp, type CountAnswer, DROPPED, type ExpireOp, refuse, type ShedAnswer, type ShedOp } from './operations.js';
import { type KeptRecord, keptKey, letterKey, type PartitionState } from './state.js';

/** Maximum number of entries that one page examines. More of them would block the store for too long. */
const LOOKED_AT_MAX = 250;
/** `shed` keeps results of at most this size: dropping one would free too little memory. */
const LARGE_RESULT_BYTES = 1024;

export function letters(state: PartitionState, op: LettersOp): LettersAnswer {
  const page: Letter[] = [];
  // Starts at the oldest dead letter: limits delete the oldest, so there may be many deleted numbers before it.
  let at = Math.max(Number(op.after), oldestLetter(state) - 1);
  for (let looked = 0; at < state.letter && looked < LOOKED_AT_MAX && page.length < op.max; at++) {
    const letter = state.letters.get(String(at + 1));
    if (letter === undefined) continue;
    looked++;
    if (matches(letter, op)) page.push(letter);
  }
  return { ok: true, letters: page, next: at < state.letter ? String(at) : '' };
}

function matches(letter: Letter, { type, entity, reason, sinceMs, replayed }: LetterFilter): boolean {
  if (type !== undefined && typeOfKey(letter.entity) !== type) return false;
  if (entity !== undefined && letter.entity !== entity) return false;
  if (reason !== undefined && letter.reason !== reason) return false;
  if (sinceMs !== undefined && letter.diedAtMs < sinceMs) return false;
  return replayed === undefined || (letter.replayedAs !== '') === replayed;
}

const keptOf = (state: PartitionState, { entity, message }: Letter): KeptRecord | undefined =>
  state.kept.get(keptKey(entity, message.id));

export function replay(state: PartitionState, op: ReplayOp, nowMs: number): ControlAnswerOf['replay'] {
  if (state.generation === CLOSED) return refuse('CLOSED');
  const letter = state.letters.get(op.letter);
  if (letter === undefined) return refuse('ABSENT');
  if (letter.replayedAs !== '') return refuse('REPLAYED');
  // After a late completion the handler has returned, so its effect may exist. Only the user's data shows that; `force` means
  // that an operator has checked. A late failure needs no `force`: it leaves no more behind than one in time, which needs none.
  if (!op.force && letter.late === 'completed') return refuse('NEEDS_FORCE');
  const { name, payload, headers, digest } = letter.message;
  // The replay keeps an id of the caller, unless the store forgot that id and a later message has it now.
  const given = letter.message.given && (keptOf(state, letter)?.seq ?? letter.message.seq) === letter.message.seq;
  const message = {
    id: given ? letter.message.id : `${GENERATED}replay-${letter.id}`,
    given,
    digest: given ? digest : '',
    name,
    payload,
    headers,
    chain: '',
    waiter: 0,
    replayOf: letter.id,
  };
  const request: AppendOp = { op: 'append', entity: letter.entity, message, depthMax: 0, begin: false };
  const answer = accept(state, 0, request, nowMs);
  if (!answer.ok) return answer;
  state.letters.set(letter.id, { ...letter, replayedAs: message.id });
  return { ok: true, id: message.id, seq: answer.seq };
}

export function purge(state: PartitionState, op: PurgeOp, nowMs: number): ControlAnswerOf['purge'] {
  if (state.generation === CLOSED) return refuse('CLOSED');
  const letter = state.letters.get(op.letter);
  if (letter === undefined) return refuse('ABSENT');
  if (op.limits !== undefined && !isPast(state, letter, op.limits, nowMs)) return refuse('WITHIN_LIMITS');
  const kept = keptOf(state, letter);
  if (letter.message.given && kept?.seq === letter.message.seq) kept.state = 'purged';
  state.letters.delete(letter.id);
  state.letterOf.delete(letterKey(letter.entity, letter.message.seq, letter.message.attempt));
  return { ok: true };
}

function isPast(state: PartitionState, { id, diedAtMs }: Letter, { max, ttlMs }: LetterLimits, nowMs: number): boolean {
  if (max > 0 && state.letters.size > max && oldestLetter(state) === Number(id)) return true;
  return ttlMs > 0 && diedAtMs + ttlMs <= nowMs;
}

/**
 * Returns the number of the oldest dead letter, or of the next one if there is none. The scan passes each number once: no number
 * is used again.
 */
function oldestLetter(state: PartitionState): number {
  while (state.letterFloor <= state.letter && !state.letters.has(String(state.letterFloor))) state.letterFloor++;
  return state.letterFloor;
}

export function lookup(state: PartitionState, op: LookupOp): ControlAnswerOf['lookup'] {
  if (op.generation !== undefined && op.generation !== state.generation) return refuse('LOST');
  const kept = state.kept.get(keptKey(op.entity, op.id));
  if (kept !== undefined) return { ok: true, state: kept.state, result: kept.result, error: kept.error };
  const rec = state.entities.get(op.entity);
  const message = rec?.running?.seq === op.seq ? rec.running : rec?.pending.get(op.seq);
  const live = message?.id === op.id;
  return live ? { ok: true, state: 'live', result: '', error: '' } : refuse('ABSENT');
}

export function expire(state: PartitionState, op: ExpireOp, nowMs: number): CountAnswer {
  let count = 0;
  for (let due = state.expiry.peek(); due !== undefined && due.atMs <= nowMs && count < op.max; due = state.expiry.peek()) {
    state.expiry.pop();
    if (due.kept !== '') {
      if (state.kept.get(due.kept)?.expiresAtMs !== due.atMs) continue;
      state.kept.delete(due.kept);
      count++;
      continue;
    }
    const rec = state.entities.get(due.held);
    if (rec === undefined || rec.owner !== 0 || rec.pending.length > 0 || rec.running !== undefined) continue;
    if (rec.holdUntilMs > nowMs) continue;
    state.entities.delete(due.held);
    state.seq = Math.max(state.seq, rec.tail);
    count++;
  }
  return { ok: true, count };
}

export function shed(state: PartitionState, op: ShedOp, nowMs: number): ShedAnswer {
  const { entryTtlMs, resultTtlMs } = state.settings;
  // Entries that expire after `afterMs` are kept only for an id of the caller. Those that expire by `untilMs` ended at least
  // `resultTtlMs` ago.
  const [afterMs, untilMs] = [nowMs + resultTtlMs, nowMs - resultTtlMs + entryTtlMs];
  const due = [...state.kept.values()].filter(({ expiresAtMs }) => expiresAtMs > afterMs && expiresAtMs <= untilMs);
  due.sort((a, b) => a.expiresAtMs - b.expiresAtMs);
  const end = op.from + LOOKED_AT_MAX;
  for (const kept of due.slice(op.from, end)) {
    if (kept.state !== 'completed' || utf8Bytes(kept.result) <= LARGE_RESULT_BYTES) continue;
    kept.result = '';
    kept.error = DROPPED;
  }
  return { ok: true, goOn: end <= due.length ? end : 0 };
}
