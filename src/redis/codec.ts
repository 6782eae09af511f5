/** Converts batches and their answers to and from the flat strings of src/redis/scripts: the counterpart of batch.lua. */
import {
  type Answer,
  type AnswerOf,
  type AppendOp,
  type Batch,
  type BatchReply,
  type Begun,
  type FinishOp,
  growsLog,
  type MessageRecord,
  type NewMessage,
  type RecalledMessage,
  type RefusalCode,
  refuse,
  type SessionOp,
} from '../core/log/operations.js';

export const FS = '\x1f';
export const RS = '\x1e';

/** Number of fields of a stored message; head.lua lists them. */
const MESSAGE_FIELDS = 13;

/** Returns a message record up to its payload. The script appends the enqueue time and the last attempt's error. */
const bodyOf = (m: NewMessage): string =>
  `${m.name}\x1f1\x1f0\x1f${m.given ? '1' : '0'}\x1f${m.waiter}\x1f${m.id}\x1f${m.digest}\x1f${m.replayOf}\x1f${m.headers}\x1f${m.chain}\x1f${m.payload}`;

export function messageAt(fields: readonly string[], at: number, seq: number): MessageRecord {
  return {
    id: fields[at + 5]!,
    given: fields[at + 3] === '1',
    digest: fields[at + 6]!,
    name: fields[at]!,
    payload: fields[at + 10]!,
    headers: fields[at + 8]!,
    chain: fields[at + 9]!,
    waiter: Number(fields[at + 4]),
    replayOf: fields[at + 7]!,
    seq,
    attempt: Number(fields[at + 1]),
    notBeforeMs: Number(fields[at + 2]),
    enqueuedAtMs: Number(fields[at + 11]),
    error: fields[at + 12]!,
  };
}

// ---- requests

/** Returns the arguments of the batch script. `now`: store time in ms, '' for the server's clock. */
export function encodeBatch(batch: Batch, now: string): string[] {
  const { ops } = batch;
  const depthMax = depthMaxOf(ops);
  const out: string[] = [now, `${batch.incarnation}.${batch.token}`, batch.generation, String(batch.n), '', String(depthMax), ''];
  for (const op of ops) out.push('entity' in op ? op.entity : '');
  for (const op of ops) if (op.op === 'finish') for (const send of op.sends) out.push(send.entity);
  out[6] = String(out.length - 7);
  let kinds = '';
  for (const op of ops) kinds += encodeOp(op, batch.incarnation, depthMax, out);
  out[4] = kinds;
  return out;
}

/** Returns the depthMax sent once for the batch: appends with the same limit do not repeat it. */
function depthMaxOf(ops: readonly SessionOp[]): number {
  for (const op of ops) if (op.op === 'append') return op.depthMax;
  return 0;
}

/** Adds the operation's arguments; returns its kind, the character by which batch.lua knows it. */
function encodeOp(op: SessionOp, me: number, depthMax: number, out: string[]): string {
  switch (op.op) {
    case 'append':
      return encodeAppend(op, me, depthMax, out);
    case 'finish':
      return encodeFinish(op, me, out);
    case 'claim':
      return 'k';
    case 'begin':
      out.push(String(op.fence), String(op.have));
      return 'g';
    case 'retry':
      out.push(String(op.fence), String(op.seq), String(op.attempt), String(op.delayMs), op.error);
      return 'r';
    case 'withdraw':
      out.push(op.id, String(op.seq));
      return 'w';
    case 'release':
      out.push(String(op.fence), op.handoff ? '1' : '0');
      return 'l';
    case 'takeover':
      out.push(String(op.incarnation));
      return 't';
    case 'late':
      out.push(String(op.seq), String(op.attempt), String(op.incarnation), op.outcome, op.detail);
      return 'y';
    case 'expire':
      out.push(String(op.max));
      return 'x';
    case 'shed':
      out.push(String(op.from));
      return 'h';
  }
}

function encodeAppend({ message, begin, depthMax }: AppendOp, me: number, depthMaxOfBatch: number, out: string[]): string {
  out.push(bodyOf(message));
  const keeps = message.given || (message.waiter !== 0 && message.waiter !== me);
  if (!message.given && depthMax === depthMaxOfBatch) return begin ? (keeps ? 'c' : 'b') : 'a';
  out.push(String(depthMax), message.given ? message.id : '', message.given ? message.digest : '');
  return begin ? (keeps ? 'C' : 'B') : 'A';
}

function encodeFinish(op: FinishOp, me: number, out: string[]): string {
  const { outcome, sends, seq } = op;
  out.push(`${me},${op.fence},${seq}`, String(seq), op.next >= 0 ? String(op.next) : '-1', outcome.result);
  if (op.attempt === 1 && outcome.state === 'completed' && sends.length === 0 && outcome.error === '') return 'f';
  const state = outcome.state === 'failed' && outcome.noDeadLetter === true ? 'refused' : outcome.state;
  out.push(String(op.attempt), state, outcome.error, String(sends.length));
  for (const { message, depthMax } of sends) {
    out.push(bodyOf(message), String(depthMax), message.given ? message.id : '', message.given ? message.digest : '');
  }
  return growsLog(op) ? 'S' : 'F';
}

// ---- answers

export function decodeBatchReply(text: string, batch: Batch): BatchReply {
  switch (text[0]) {
    case 'A':
      return { status: 'applied', answers: decodeAnswers(text.slice(1), batch) };
    case 'F':
      return { status: 'fenced', last: text.length > 1 ? Number(text.slice(1)) : undefined };
    case 'U':
      return { status: 'unknown' };
    case 'S':
      return { status: 'stale' };
    case 'G':
      return { status: 'gap', last: Number(text.slice(1)) };
    case 'L':
      return { status: 'lost' };
    default:
      throw malformed(text);
  }
}

export const malformed = (text: string): Error =>
  new Error(`the store answered what its script cannot say: ${text.slice(0, 100)}`);

/** Decodes each answer as its operation requires: the operations of this copy, or of an earlier one that carried more. */
function decodeAnswers(text: string, { ops: current, former, incarnation }: Batch): Answer[] {
  const parts = current.length === 0 && text === '' ? [] : text.split(RS);
  const ops = parts.length === former?.length ? former : current;
  if (parts.length !== ops.length) throw malformed(text);
  const answers = new Array<Answer>(ops.length);
  for (let i = 0; i < ops.length; i++) answers[i] = decodeAnswer(ops[i]!, parts[i]!, incarnation);
  return answers;
}

/** Returns the refusal that the text holds, or undefined. */
export function refusalOf(text: string): ReturnType<typeof refuse> | undefined {
  if (text.charCodeAt(0) !== 0x21) return undefined;
  const end = text.indexOf(FS);
  return refuse(text.slice(1, end) as RefusalCode, Number(text.slice(end + 1)));
}

function decodeAnswer(op: SessionOp, text: string, me: number): Answer {
  const refused = refusalOf(text);
  if (refused !== undefined) return refused;
  switch (op.op) {
    case 'append':
      return decodeAppend(text, me);
    case 'finish':
      return decodeFinish(op, text);
    case 'begin':
      return { ok: true, ...begunAt(text.split(FS), 0) };
    case 'claim': {
      const [fence, hold, pending] = text.split(FS);
      return { ok: true, fence: Number(fence), holdUntilMs: Number(hold), pending: Number(pending) };
    }
    case 'retry':
      return { ok: true, notBeforeMs: Number(text) };
    case 'withdraw':
      return { ok: true, owner: Number(text) };
    case 'takeover':
      return decodeTakeover(text);
    case 'expire':
      return { ok: true, count: Number(text) };
    case 'shed':
      return { ok: true, goOn: Number(text) };
    default:
      return { ok: true };
  }
}

function decodeAppend(text: string, me: number): AnswerOf['append'] {
  if (!text.includes(FS)) return { ok: true, seq: Number(text), depth: 1, owner: me, begun: true, known: undefined };
  const f = text.split(FS);
  const known: RecalledMessage | undefined =
    f.length > 3
      ? { state: f[3] as RecalledMessage['state'], result: f[4] ?? '', error: f[5] ?? '', cut: f.length === 4 }
      : undefined;
  return { ok: true, seq: Number(f[0]), depth: Number(f[1]), owner: Number(f[2]), begun: false, known };
}

function begunAt(f: readonly string[], at: number): Begun {
  const seq = Number(f[at]);
  const message = f.length >= at + 2 + MESSAGE_FIELDS ? messageAt(f, at + 2, seq) : undefined;
  return { seq, attempt: Number(f[at + 1]), message };
}

function decodeFinish(op: FinishOp, text: string): AnswerOf['finish'] {
  if (text === '') return { ok: true, next: undefined, sent: [] };
  const f = text.split(FS);
  const sent = op.sends.map((_, i) => ({ seq: Number(f[2 * i]), owner: Number(f[2 * i + 1]) }));
  const at = 2 * sent.length;
  return { ok: true, next: f.length > at ? begunAt(f, at) : undefined, sent };
}

function decodeTakeover(text: string): AnswerOf['takeover'] {
  const [hold, seq, id, waiter, end, name] = text.split(FS);
  const interrupted =
    seq === undefined
      ? undefined
      : { seq: Number(seq), id: id!, name: name!, waiter: Number(waiter), requeued: end === '1', deadLetter: end === '0' };
  return { ok: true, interrupted, holdUntilMs: Number(hold) };
}
