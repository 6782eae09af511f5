/** What the log has to know of messages by their ids: while they live if the caller gave the id, and after their end. */
import assert from 'node:assert';
import type { JoinOp, LookupOp } from '../../src/core/log/control-operations.js';
import { DROPPED, type KnownMessage } from '../../src/core/log/operations.js';

export interface Known extends KnownMessage {
  readonly key: string;
  readonly seq: number;
  readonly digest: string;
  /** When it may be forgotten; undefined while its message lives. */
  readonly untilMs: number | undefined;
}

type Settings = JoinOp['settings'];

/** A result that is smaller is never dropped. */
const LARGE_BYTES = 1024;

export const keyOf = (entity: string, id: string): string => `${entity} ${id}`;

export class Kept {
  #known: readonly Known[] = [];

  find(entity: string, id: string): Known | undefined {
    return this.#known.find(({ key }) => key === keyOf(entity, id));
  }

  /** To return to with `restore`. */
  get all(): readonly Known[] {
    return this.#known;
  }

  restore(all: readonly Known[]): void {
    this.#known = all;
  }

  put(known: Known): void {
    this.#known = [...this.#known.filter(({ key }) => key !== known.key), known];
  }

  /** Forgets what is due, and returns how much that was. */
  expire(nowMs: number): number {
    const before = this.#known.length;
    this.#known = this.#known.filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs);
    return before - this.#known.length;
  }

  /** Drops the large results that have been kept for `resultTtlMs`, and would be for longer than that. */
  shed({ entryTtlMs, resultTtlMs }: Settings, nowMs: number): void {
    this.#known = this.#known.map((known) => {
      if (known.untilMs === undefined || known.state !== 'completed' || Buffer.byteLength(known.result) <= LARGE_BYTES)
        return known;
      const leftMs = known.untilMs - nowMs;
      const isDue = leftMs > resultTtlMs && entryTtlMs - leftMs >= resultTtlMs;
      return isDue ? { ...known, result: '', error: DROPPED } : known;
    });
  }

  /** The dead letter of that message was purged. */
  purge(entity: string, id: string, seq: number): void {
    const known = this.find(entity, id);
    if (known?.seq === seq) this.put({ ...known, state: 'purged' });
  }

  /** `answer`: what the log says of the message of that id. */
  judge({ entity, id }: Pick<LookupOp, 'entity' | 'id'>, answer: KnownMessage): void {
    const known = this.find(entity, id);
    assert(known !== undefined, `${id} of ${entity} is kept, the oracle says it is forgotten`);
    const { state, result, error } = answer;
    assert.deepStrictEqual({ state, result, error }, { state: known.state, result: known.result, error: known.error });
  }
}
