/** What is known when a campaign has ended: the record of all processes, and what the store says. */
import type { Effect } from './ledger.js';
import type { RecordEvent } from './record.js';

export interface StoredLetter {
  /** Of the dead letter. */
  readonly letter: string;
  readonly entity: string;
  readonly id: string;
  readonly ref: string;
  readonly seq: number;
  readonly attempt: number;
  readonly reason: 'failed' | 'interrupted';
  readonly incarnation: number;
}

export type StoredState = 'absent' | 'live' | 'completed' | 'failed' | 'interrupted' | 'withdrawn';

export interface FinalState {
  readonly letters: readonly StoredLetter[];
  /** What the store says of each id that a caller gave, by `entity id`. */
  readonly given: ReadonlyMap<string, StoredState>;
  readonly counts: { readonly depth: number; readonly active: number; readonly letters: number };
  /** What the handlers' own store holds; of each entity in the order in which it came. */
  readonly effects: readonly Effect[];
  /** Members after the last process has left in good order. */
  readonly members: number;
}

export interface History {
  readonly events: readonly RecordEvent[];
  readonly final: FinalState;
  /** How long a node may stand still before its lease ends by its own clock, ms. */
  readonly leaseMs: number;
  /** How often it renews that lease, ms. */
  readonly heartbeatMs: number;
}

export const givenKey = (entity: string, id: string): string => `${entity} ${id}`;

export interface Violation {
  readonly invariant: 'I1' | 'I2' | 'I2f' | 'I3' | 'I4' | 'I5' | 'I7' | 'campaign';
  /** '' where it concerns no entity alone. */
  readonly entity: string;
  readonly what: string;
}
