/** Histories that somebody tells step by step, for the checkers to be tried on. */
import { checkAll } from './checkers.js';
import { Facts } from './facts.js';
import { type FinalState, givenKey, type StoredLetter, type StoredState } from './history.js';
import type { Effect } from './ledger.js';
import type { Plan } from './plan.js';
import type { End, RecordEvent } from './record.js';

type Draft = RecordEvent extends infer E ? (E extends RecordEvent ? Omit<E, 'atUs'> : never) : never;

export const plan = (ref: string, more: Partial<Plan> = {}): Plan => ({
  ref,
  type: 'account',
  entityId: 'a-1',
  workMs: 1,
  does: 'ok',
  sends: [],
  ...more,
});

/** Builds a history step by step; each event comes 1 ms after the one before. */
export class Story {
  readonly events: RecordEvent[] = [];
  readonly letters: StoredLetter[] = [];
  readonly given = new Map<string, StoredState>();
  readonly effects: Effect[] = [];
  depth = 0;
  /** Counted, and not there. */
  zombieLetters = 0;
  members = 0;
  #nowUs = 0;

  add(draft: Draft): this {
    this.#nowUs += 1000;
    this.events.push({ atUs: this.#nowUs, ...draft } as RecordEvent);
    return this;
  }

  sleep(ms: number): this {
    this.#nowUs += ms * 1000;
    return this;
  }

  call(plan: Plan, call: string, run = 1, stored: StoredState | 'id made by the library' = 'completed'): this {
    const isMade = stored === 'id made by the library';
    if (!isMade) this.given.set(givenKey(`${plan.type}:${plan.entityId}`, plan.ref), stored);
    return this.add({ kind: 'invoke', run, call, mode: 'enqueue', id: isMade ? undefined : plan.ref, plan });
  }

  receipt(call: string, id: string, seq: number, run = 1): this {
    return this.add({ kind: 'told', run, call, verdict: 'receipt', id, seq });
  }

  result(call: string, ref: string, run = 1): this {
    return this.add({ kind: 'told', run, call, verdict: 'result', ref });
  }

  error(call: string, code: string, definite: boolean, run = 1): this {
    return this.add({ kind: 'told', run, call, verdict: 'error', code, definite });
  }

  start(ref: string, seq: number, { run = 1, attempt = 1, fence = 1, entity = 'account:a-1' } = {}): this {
    return this.add({ kind: 'start', run, ref, id: ref, entity, seq, attempt, fence });
  }

  /** A handler that ends well has had its effect. */
  end(
    ref: string,
    seq: number,
    { run = 1, attempt = 1, fence = 1, entity = 'account:a-1', how = 'ok' as End['how'] } = {},
  ): this {
    if (how === 'ok') this.effects.push({ entity, ref, run, seq, attempt, fence });
    return this.add({ kind: 'end', run, ref, id: ref, entity, seq, attempt, fence, how });
  }

  ran(ref: string, seq: number, where: Parameters<Story['end']>[2] = {}): this {
    return this.start(ref, seq, where).end(ref, seq, where);
  }

  kill(run: number): this {
    return this.add({ kind: 'exit', run, killed: true, code: null });
  }

  letter(ref: string, seq: number, reason: 'failed' | 'interrupted', attempt = 1, entity = 'account:a-1'): this {
    const letter = String(this.letters.length + 1);
    this.letters.push({ letter, entity, id: ref, ref, seq, attempt, reason, incarnation: 1 });
    return this;
  }

  facts(): Facts {
    const counts = { depth: this.depth, active: this.depth, letters: this.letters.length + this.zombieLetters };
    const { letters, given, effects, members } = this;
    const final: FinalState = { letters, given, effects, counts, members };
    return new Facts({ events: this.events, final, leaseMs: 250, heartbeatMs: 60 });
  }

  violations(): string[] {
    return checkAll(this.facts()).map(({ invariant, what }) => `${invariant} ${what}`);
  }
}

export const withEffects = (story: Story, ...effects: readonly Effect[]): Story =>
  Object.assign(story, { effects: [...story.effects, ...effects] });

export const order = (ref: string): Plan => plan(ref, { type: 'order', entityId: 'o-1' });
export const ORDER = { entity: 'order:o-1' };

/** Two messages, of which a kill interrupts the second, one refusal, and a resend. */
export const sound = (): Story =>
  new Story()
    .call(plan('x'), '1.1')
    .receipt('1.1', 'x', 1)
    .ran('x', 1)
    .call(plan('y'), '1.2', 1, 'interrupted')
    .start('y', 2)
    .kill(1)
    .letter('y', 2, 'interrupted')
    .call(plan('y'), '2.1', 2, 'interrupted')
    .error('2.1', 'INTERRUPTED', false, 2)
    .call(plan('z'), '2.2', 2, 'absent')
    .error('2.2', 'QUEUE_DEPTH_EXCEEDED', true, 2)
    .call(plan('x'), '2.3', 2)
    .receipt('2.3', 'x', 1, 2);

/**
 * The process of x stands still while it runs, for 300 ms, past its lease of 250; y runs elsewhere meanwhile, after so long, and x
 * is fenced off when it wakes.
 */
export const stalled = (forMs = 300, yAfterMs = forMs): Story =>
  new Story()
    .call(plan('x'), '1.1', 1, 'interrupted')
    .call(plan('y'), '2.1', 2)
    .start('x', 1)
    .sleep(yAfterMs)
    .ran('y', 2, { run: 2, fence: 2 })
    .letter('x', 1, 'interrupted')
    .sleep(forMs - yAfterMs)
    .add({ kind: 'stall', run: 1, forMs })
    .end('x', 1, { how: 'fenced' });
