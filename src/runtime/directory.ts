/**
 * Which messages a member handles: those that this process declares, and those that the other members declared when they joined.
 *
 *   (1) "Yes" comes from memory; "no" only from a membership snapshot that was requested after the question.
 *   (2) A type whose services are all down stays known to the nodes that knew it: its messages wait in the log, as at a restart.
 *   (3) Questions about a type are answered in their order, and no message of that type may overtake a question.
 */
import { nearestName } from '../core/config/nearest.js';
import { AtomicQueuesError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Contract } from '../core/log/control-operations.js';
import type { Declaration } from './declared.js';

interface Known {
  readonly names: Set<string>;
  /** `workerMaxQueueDepth`; 0: unbounded. */
  depthMax: number;
}

interface Question {
  readonly type: string;
  readonly name: string;
  answered(depthMax: number | undefined): void;
}

export class Directory {
  private known: ReadonlyMap<string, Known> = new Map();
  private readonly questions = new Fifo<Question>();
  /** Open questions by type. */
  private readonly asked = new Map<string, number>();

  constructor(
    private readonly own: readonly Contract[],
    private readonly readMembers: () => void,
  ) {
    this.known = this.union([]);
  }

  /** Returns the depth limit of the type, if a member is known to handle the message. */
  find(type: string, name: string): number | undefined {
    const known = this.known.get(type);
    return known?.names.has(name) === true ? known.depthMax : undefined;
  }

  types(): readonly string[] {
    return [...this.known.keys()];
  }

  namesOf(type: string): readonly string[] {
    return [...(this.known.get(type)?.names ?? [])];
  }

  // ---- questions -----------------------------------------------------------------------------------------------

  isAsked(type: string): boolean {
    return this.asked.size > 0 && this.asked.has(type);
  }

  /** Looks for a message that is not known here: `answered` gets what `find` returns after a read of the members from now on. */
  ask(question: Question): void {
    this.questions.push(question);
    this.count(question.type, 1);
    this.readMembers();
  }

  /** The number of questions that a read of the members answers if it leaves now. */
  get open(): number {
    return this.questions.length;
  }

  /** Takes a membership snapshot in which the live members or their contracts have changed. */
  learn(declared: readonly Declaration[]): void {
    this.known = this.union(declared.flatMap(({ isLive, contracts }) => (isLive ? contracts : [])));
  }

  /** Answers the first `count` questions. */
  answer(count: number): void {
    for (let i = 0; i < count; i++) {
      const question = this.questions.shift();
      if (question === undefined) return;
      this.count(question.type, -1);
      question.answered(this.find(question.type, question.name));
    }
  }

  private count(type: string, by: number): void {
    const count = (this.asked.get(type) ?? 0) + by;
    if (count === 0) this.asked.delete(type);
    else this.asked.set(type, count);
  }

  private union(declared: readonly Contract[]): ReadonlyMap<string, Known> {
    const known = new Map<string, Known>();
    const add = ({ type, names, depthMax }: Contract): void => {
      const before = known.get(type);
      if (before === undefined) known.set(type, { names: new Set(names), depthMax });
      else {
        for (const name of names) before.names.add(name);
        before.depthMax = tighter(before.depthMax, depthMax);
      }
    };
    for (const contract of declared) add(contract);
    for (const contract of this.own) {
      add(contract);
      (known.get(contract.type) as Known).depthMax = contract.depthMax;
    }
    for (const [type, last] of this.known) if (!known.has(type)) known.set(type, last);
    return known;
  }

  // ---- refusals ------------------------------------------------------------------------------------------------

  /** Returns the error for a message that no member handles: UNKNOWN_ENTITY_TYPE or UNKNOWN_MESSAGE. */
  refusal(type: string, name: string): AtomicQueuesError {
    const names = this.known.get(type)?.names;
    if (names === undefined) {
      const nearest = nearestName(type, this.known.keys());
      const text = `no handler for entity type ${JSON.stringify(type)}, here or in any live service${didYouMean(nearest)}`;
      return new AtomicQueuesError('UNKNOWN_ENTITY_TYPE', text, { details: { type, nearest, known: this.types() } });
    }
    const nearest = nearestName(name, names);
    const text = `no handler for message ${JSON.stringify(name)} of entity type ${JSON.stringify(type)}${didYouMean(nearest)}`;
    return new AtomicQueuesError('UNKNOWN_MESSAGE', text, { details: { type, name, nearest, known: [...names] } });
  }
}

/** Returns the lower of two limits; 0 means no limit. */
const tighter = (a: number, b: number): number => (a === 0 || b === 0 ? a + b : Math.min(a, b));

const didYouMean = (nearest: string | undefined): string =>
  nearest === undefined ? '' : `; did you mean ${JSON.stringify(nearest)}?`;
