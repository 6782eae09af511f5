/** Converts the messages of the network port to and from their wire form. */
import { InvariantViolation } from '../core/errors.js';
import type { PeerMessage, PetitionRefusal } from '../ports/network.js';
import { Refusal, ReplyState, type PeerMessage as WireMessage } from './cluster.gen.js';

const STATES = { completed: ReplyState.COMPLETED, failed: ReplyState.FAILED, interrupted: ReplyState.INTERRUPTED } as const;
type State = keyof typeof STATES;
const STATE_OF = new Map<number, State>(Object.entries(STATES).map(([state, code]) => [code, state as State]));

const { UNSPECIFIED: NOT_REFUSED, ...REFUSALS } = Refusal;
/** The type makes the compiler check that both lists of refusals are equal. */
const CODES: Readonly<Record<PetitionRefusal, number>> = REFUSALS;
const REFUSAL_OF = new Map<number, PetitionRefusal>(
  Object.entries(CODES).map(([refusal, code]) => [code, refusal as PetitionRefusal]),
);

const codeOf = (refusal: PetitionRefusal | undefined): number => (refusal === undefined ? NOT_REFUSED : CODES[refusal]);

export function toWire(m: PeerMessage): WireMessage {
  switch (m.kind) {
    case 'wake':
      return { case: 'wake', value: m };
    case 'reply':
      return { case: 'reply', value: { entity: m.entity, id: m.id, seq: m.seq, state: STATES[m.state], detail: m.detail } };
    case 'petition':
      return { case: 'petition', value: m };
    case 'placed':
      return { case: 'placed', value: { ticket: m.ticket, owner: m.owner, refusal: codeOf(m.refusal) } };
    case 'assign':
      return { case: 'assign', value: m };
    case 'assigned':
      return { case: 'assigned', value: { ticket: m.ticket, refusal: codeOf(m.refusal) } };
    case 'list-workers':
      return { case: 'listWorkers', value: m };
    case 'workers':
      return { case: 'workers', value: m };
    case 'handover':
      return { case: 'handover', value: { epoch: m.epoch, rows: m.rows.map(([entity, owner]) => ({ entity, owner })) } };
    default: {
      const unknown: never = m;
      throw new InvariantViolation(`no wire form of ${JSON.stringify(unknown)}`);
    }
  }
}

/** Returns undefined for no message, and for a kind, state or refusal that this version does not know. */
export function fromWire(m: WireMessage | undefined): PeerMessage | undefined {
  switch (m?.case) {
    case 'wake':
      return { kind: 'wake', entity: m.value.entity, message: m.value.message };
    case 'reply': {
      const { entity, id, seq, detail } = m.value;
      const state = STATE_OF.get(m.value.state);
      return state === undefined ? undefined : { kind: 'reply', entity, id, seq, state, detail };
    }
    case 'petition':
      return { kind: 'petition', ...m.value };
    case 'placed':
      return answerOf({ kind: 'placed', ticket: m.value.ticket, owner: m.value.owner }, m.value.refusal);
    case 'assign':
      return { kind: 'assign', ...m.value };
    case 'assigned':
      return answerOf({ kind: 'assigned', ticket: m.value.ticket }, m.value.refusal);
    case 'listWorkers':
      return { kind: 'list-workers', ...m.value };
    case 'workers':
      return { kind: 'workers', ...m.value };
    case 'handover':
      return { kind: 'handover', epoch: m.value.epoch, rows: m.value.rows.map(({ entity, owner }) => [entity, owner]) };
    default:
      return undefined;
  }
}

function answerOf<T extends object>(answer: T, code: number): (T & { refusal: PetitionRefusal | undefined }) | undefined {
  const refusal = REFUSAL_OF.get(code);
  return refusal === undefined && code !== NOT_REFUSED ? undefined : { ...answer, refusal };
}

const FIXED_BYTES = 48;

/** Estimates the encoded size in bytes. Counts each character as one byte; non-ASCII text may take up to three times as many. */
export function sizeOf(m: PeerMessage): number {
  switch (m.kind) {
    case 'wake': {
      const r = m.message;
      if (r === undefined) return FIXED_BYTES + m.entity.length;
      const ids = r.id.length + r.digest.length + r.name.length + r.replayOf.length + r.chain.length;
      return 2 * FIXED_BYTES + m.entity.length + ids + r.payload.length + r.headers.length + r.error.length;
    }
    case 'reply':
      return FIXED_BYTES + m.entity.length + m.id.length + m.detail.length;
    case 'workers':
      return m.entities.reduce((sum, entity) => sum + entity.length + 8, FIXED_BYTES);
    case 'handover':
      return m.rows.reduce((sum, [entity]) => sum + entity.length + 16, FIXED_BYTES);
    case 'petition':
    case 'assign':
      return FIXED_BYTES + m.entity.length;
    default:
      return FIXED_BYTES;
  }
}
