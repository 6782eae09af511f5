/** Decodes a batch from the arguments of the batch script: the other direction of src/redis/codec.ts. */
import type { Batch, NewMessage, Send, SessionOp } from '../src/core/log/operations.js';

/**
 * Number of arguments before the entities: time, session (incarnation and token), generation, number, kinds, depthMax, number of
 * entities.
 */
const ENTITIES_AT = 7;

/** Returns the batch, with the incarnation that sent it. */
export function decodeBatch(argv: readonly string[]): Batch {
  const [, session, generation, n, kinds, , entities] = argv as readonly [...string[]] & readonly string[];
  const reader = new Reader(argv, ENTITIES_AT + Number(entities), ENTITIES_AT + (kinds as string).length);
  const ops = [...(kinds as string)].map((kind, i) => reader.op(kind, argv[ENTITIES_AT + i] as string));
  const [incarnation, token = ''] = (session as string).split('.');
  return { generation: generation as string, incarnation: Number(incarnation), token, n: Number(n), ops };
}

function messageOf(body: string): NewMessage {
  const fields = body.split('\x1f');
  const [name, , , given, waiter, id, digest, replayOf, headers, chain, payload] = fields as unknown as readonly string[] & {
    readonly length: 11;
  };
  if (fields.length !== 11) throw new Error(`a message of ${fields.length} fields: ${body.slice(0, 200)}`);
  return {
    ...{ name: name as string, given: given === '1', waiter: Number(waiter), id: id as string, digest: digest as string },
    ...{ replayOf: replayOf as string, headers: headers as string, chain: chain as string, payload: payload as string },
  };
}

class Reader {
  constructor(
    private readonly argv: readonly string[],
    private at: number,
    private sendAt: number,
  ) {}

  private text(): string {
    const text = this.argv[this.at++];
    if (text === undefined) throw new Error('a batch has fewer arguments than its kinds need');
    return text;
  }

  private number(): number {
    return Number(this.text());
  }

  op(kind: string, entity: string): SessionOp {
    switch (kind) {
      case 'a':
      case 'b':
      case 'c':
        return { op: 'append', entity, message: messageOf(this.text()), depthMax: 0, begin: kind !== 'a' };
      case 'A':
      case 'B':
      case 'C': {
        const message = messageOf(this.text());
        const depthMax = this.number();
        this.at += 2;
        return { op: 'append', entity, message, depthMax, begin: kind !== 'A' };
      }
      case 'k':
        return { op: 'claim', entity };
      case 'g':
        return { op: 'begin', entity, fence: this.number(), have: this.number() };
      case 'f':
      case 'F':
      case 'S':
        return this.finish(kind, entity);
      case 'r': {
        const [fence, seq, attempt, delayMs] = [this.number(), this.number(), this.number(), this.number()];
        return { op: 'retry', entity, fence, seq, attempt, delayMs, error: this.text() };
      }
      case 'w':
        return { op: 'withdraw', entity, id: this.text(), seq: this.number() };
      case 'l':
        return { op: 'release', entity, fence: this.number(), handoff: this.text() === '1' };
      case 't':
        return { op: 'takeover', entity, incarnation: this.number() };
      case 'y': {
        const [seq, attempt, incarnation] = [this.number(), this.number(), this.number()];
        const outcome = this.text() as 'completed' | 'failed' | 'not-run';
        return { op: 'late', entity, seq, attempt, incarnation, outcome, detail: this.text() };
      }
      case 'x':
        return { op: 'expire', max: this.number() };
      case 'h':
        return { op: 'shed', from: this.number() };
      default:
        throw new Error(`a batch has an operation of kind "${kind}", which this reader does not know`);
    }
  }

  private finish(kind: 'f' | 'F' | 'S', entity: string): SessionOp {
    const fence = Number(this.text().split(',')[1]);
    const [seq, next] = [this.number(), this.number()];
    const result = this.text();
    if (kind === 'f')
      return {
        op: 'finish',
        entity,
        fence,
        seq,
        attempt: 1,
        outcome: { state: 'completed', result, error: '' },
        sends: [],
        next,
      };
    const attempt = this.number();
    const state = this.text() as 'completed' | 'failed' | 'refused';
    const error = this.text();
    const outcome =
      state === 'refused' ? { state: 'failed' as const, result, error, noDeadLetter: true } : { state, result, error };
    const sends: Send[] = [];
    for (let count = this.number(); count > 0; count--) {
      const message = messageOf(this.text());
      const depthMax = this.number();
      this.at += 2;
      sends.push({ entity: this.argv[this.sendAt++] as string, message, depthMax });
    }
    return { op: 'finish', entity, fence, seq, attempt, outcome, sends, next };
  }
}
