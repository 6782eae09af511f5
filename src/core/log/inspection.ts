/** Read-only operations: they show people what the log holds, and find missing keys. They change nothing in the log. */

import { typeOfKey } from '../ids.js';
import type {
  AuditAnswer,
  AuditOp,
  ControlAnswerOf,
  CountsAnswer,
  EntityOp,
  HistoryAnswer,
  HistoryOp,
  SurveyAnswer,
} from './control-operations.js';
import { refuse } from './operations.js';
import { keptKey, type PartitionState } from './state.js';

export function counts(state: PartitionState): CountsAnswer {
  const { depth, active } = state;
  return {
    ok: true,
    depth,
    active,
    entities: state.entities.size,
    letters: state.letters.size,
    kept: state.kept.size,
    lastLetter: state.letter,
  };
}

export function entity(state: PartitionState, op: EntityOp): ControlAnswerOf['entity'] {
  const rec = state.entities.get(op.entity);
  if (rec === undefined) return refuse('ABSENT');
  const { owner, fence, holdUntilMs, running } = rec;
  const pending = [];
  for (const message of rec.pending) {
    if (pending.length === op.max) break;
    pending.push(message);
  }
  return { ok: true, owner, fence, holdUntilMs, running, pendingCount: rec.pending.length, pending };
}

export function history(state: PartitionState, op: HistoryOp): HistoryAnswer {
  const prefix = keptKey(op.entity, '');
  const kept = [...state.kept].filter(([key, { state: is }]) => is !== 'live' && key.startsWith(prefix));
  const ended = kept.map(([key, { seq, state: is, expiresAtMs }]) => ({
    ...{ id: key.slice(prefix.length), seq, state: is, expiresAtMs },
  }));
  return { ok: true, cursor: '0', ended };
}

export function survey(state: PartitionState): SurveyAnswer {
  const types = new Map<string, { type: string; entities: number; running: number; pending: number }>();
  const running: SurveyAnswer['running'][number][] = [];
  for (const [key, rec] of state.entities) {
    const type = typeOfKey(key);
    const count = types.get(type) ?? { type, entities: 0, running: 0, pending: 0 };
    types.set(type, count);
    count.entities++;
    count.pending += rec.pending.length;
    if (rec.running === undefined) continue;
    count.running++;
    running.push({ entity: key, pending: rec.pending.length });
  }
  return { ok: true, cursor: '0', types: [...types.values()], running };
}

/** Maximum number of entities that one audit page examines. */
const AUDIT_PAGE = 1000;

export function audit(state: PartitionState, op: AuditOp): AuditAnswer {
  const { entities, active, letters, letterOf, members } = state;
  const missing: string[] = [];
  if (entities.size < active) missing.push('ent');
  if (letters.size < letterOf.size) missing.push('dlq');
  if (letters.size > letterOf.size) missing.push('dlqof');
  const me = members.get(op.incarnation);
  if (me !== undefined && me.owns < op.owned) missing.push('owns');
  const from = Number(op.cursor);
  const unready: AuditAnswer['unready'][number][] = [];
  let at = 0;
  for (const [entity, { owner, running, pending }] of entities) {
    if (at === from + AUDIT_PAGE) return { ok: true, missing, unready, cursor: String(at) };
    if (at++ < from) continue;
    const isUnready = running === undefined && pending.length > 0 && !state.ready.has(entity);
    if (isUnready || (owner !== 0 && !members.has(owner))) unready.push({ entity, owner });
  }
  return { ok: true, missing, unready, cursor: '0' };
}
