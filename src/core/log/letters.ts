/** Dead letters, their replay, and what is known of a message by its id. */

import { GENERATED } from '../ids.js';
import type {
  ControlAnswerOf,
  CountsAnswer,
  LettersAnswer,
  LettersOp,
  LookupOp,
  PurgeOp,
  ReplayOp,
} from './control-operations.js';
import { append } from './entity.js';
import { type AppendOp, type CountAnswer, type ExpireOp, refuse } from './operations.js';
import { keptKey, letterKey, type PartitionState } from './state.js';

export function letters(state: PartitionState, op: LettersOp): LettersAnswer {
  const after = op.after === '' ? 0 : Number(op.after);
  const page = [];
  for (const letter of state.letters.values()) {
    if (page.length === op.max) break;
    if (Number(letter.id) > after) page.push(letter);
  }
  return { ok: true, letters: page };
}

export function replay(state: PartitionState, op: ReplayOp, nowMs: number): ControlAnswerOf['replay'] {
  const letter = state.letters.get(op.letter);
  if (letter === undefined) return refuse('ABSENT');
  if (letter.replayedAs !== '') return refuse('REPLAYED');
  if (!op.force && (letter.late === 'completed' || letter.late === 'failed')) return refuse('NEEDS_FORCE');
  const { name, payload, headers } = letter.message;
  const message = {
    id: `${GENERATED}replay-${letter.id}`,
    given: false,
    digest: '',
    name,
    payload,
    headers,
    chain: '',
    waiter: 0,
    replayOf: letter.id,
  };
  const request: AppendOp = { op: 'append', entity: letter.entity, message, depthMax: 0, begin: false };
  const answer = append(state, 0, request, nowMs);
  if (!answer.ok) return answer;
  state.letters.set(letter.id, { ...letter, replayedAs: message.id });
  return { ok: true, id: message.id, seq: answer.seq };
}

export function purge(state: PartitionState, op: PurgeOp): ControlAnswerOf['purge'] {
  const letter = state.letters.get(op.letter);
  if (letter === undefined) return refuse('ABSENT');
  state.letters.delete(letter.id);
  state.letterOf.delete(letterKey(letter.entity, letter.message.seq, letter.message.attempt));
  return { ok: true };
}

export function lookup(state: PartitionState, op: LookupOp): ControlAnswerOf['lookup'] {
  const kept = state.kept.get(keptKey(op.entity, op.id));
  if (kept !== undefined) return { ok: true, state: kept.state, result: kept.result, error: kept.error };
  const rec = state.entities.get(op.entity);
  const isIt = (m: { seq: number; id: string }) => m.seq === op.seq && m.id === op.id;
  const live = rec !== undefined && ((rec.running !== undefined && isIt(rec.running)) || rec.pending.find(isIt) !== undefined);
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

export function counts(state: PartitionState): CountsAnswer {
  const { depth, active } = state;
  return {
    ok: true,
    depth,
    active,
    entities: state.entities.size,
    letters: state.letters.size,
    kept: state.kept.size,
  };
}
