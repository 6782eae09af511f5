/** The dead letters that the log has to have. */
import assert from 'node:assert';
import type { ControlAnswer, Letter, LettersAnswer, PurgeOp } from '../../src/core/log/control-operations.js';
import type { LateOp } from '../../src/core/log/operations.js';

/** What a dead letter keeps of its message. */
export interface DeadMessage {
  readonly entity: string;
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly given: boolean;
  readonly digest: string;
}

export interface Dead {
  readonly message: DeadMessage;
  readonly attempt: number;
  readonly incarnation: number;
  readonly reason: Letter['reason'];
  readonly diedAtMs: number;
  late: Letter['late'];
  lateDetail: string;
  replayedAs: string;
  isPurged: boolean;
}

export class DeadLetters {
  /** In the order in which they were made: the first has the number 1. */
  readonly #all: Dead[] = [];

  get last(): number {
    return this.#all.length;
  }

  get present(): readonly Dead[] {
    return this.#all.filter(({ isPurged }) => !isPurged);
  }

  get(letter: string): Dead | undefined {
    return this.#all[Number(letter) - 1];
  }

  add(dead: Pick<Dead, 'message' | 'attempt' | 'incarnation' | 'reason' | 'diedAtMs'>): void {
    this.#all.push({ ...dead, late: '', lateDetail: '', replayedAs: '', isPurged: false });
  }

  /** Takes the note of a late end. Returns false if there is no dead letter of that attempt and incarnation. */
  note({ entity, seq, attempt, incarnation, outcome, detail }: LateOp): boolean {
    const dead = this.present.find((d) => d.message.entity === entity && d.message.seq === seq && d.attempt === attempt);
    if (dead?.incarnation !== incarnation) return false;
    Object.assign(dead, { late: outcome, lateDetail: detail });
    return true;
  }

  /** Judges a purge. Returns the dead letter that it has deleted. */
  purge({ letter, limits }: PurgeOp, answer: ControlAnswer, nowMs: number): Dead | undefined {
    if (!answer.ok && answer.code !== 'WITHIN_LIMITS') return undefined;
    const dead = this.get(letter);
    assert(dead !== undefined && !dead.isPurged);
    const { present } = this;
    const { max, ttlMs } = limits ?? { max: 0, ttlMs: 0 };
    const isPast = (max > 0 && present.length > max && present[0] === dead) || (ttlMs > 0 && nowMs - dead.diedAtMs >= ttlMs);
    assert.deepStrictEqual(answer.ok, limits === undefined || isPast);
    if (!answer.ok) return undefined;
    dead.isPurged = true;
    return dead;
  }

  listed({ letters }: LettersAnswer): void {
    for (const { id, entity, message, reason, incarnation, diedAtMs, late, lateDetail, replayedAs } of letters) {
      const dead = this.get(id);
      assert(dead !== undefined && !dead.isPurged, `there is no dead letter ${id}`);
      assert.deepStrictEqual(
        { entity, seq: message.seq, attempt: message.attempt, reason, incarnation, diedAtMs, late, lateDetail, replayedAs },
        {
          ...{ entity: dead.message.entity, seq: dead.message.seq, attempt: dead.attempt, reason: dead.reason },
          ...{ incarnation: dead.incarnation, diedAtMs: dead.diedAtMs, late: dead.late, lateDetail: dead.lateDetail },
          replayedAs: dead.replayedAs,
        },
      );
    }
  }
}
