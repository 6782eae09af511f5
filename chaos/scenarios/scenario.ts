import type { Judgement } from '../judge.js';
import type { Stage } from '../stage.js';

/** What is done to a cluster that works. */
export interface Scenario {
  readonly name: string;
  /** What it shows, in one sentence. */
  readonly shows: string;
  /** What is done, for people. */
  readonly faults: readonly string[];
  /** Its twin in the simulator: a scenario, or a kind of fault that seeds draw. */
  readonly twin: string;
  /** One of the few that CI runs. */
  readonly ci?: boolean;
  /** Default 3. */
  readonly nodes?: number;
  /** Nodes talk over pub/sub instead of gRPC. */
  readonly pubsub?: boolean;
  /** What a machine may lack. */
  readonly needs?: 'containers' | 'libfaketime';
  /** What the fault must have led to, or it was none. */
  readonly must: readonly Expectation[];
  /** Faults; load runs before, meanwhile and after. What is not healed here is healed after it. */
  play(stage: Stage): Promise<void>;
}

export interface Expectation {
  readonly what: string;
  holds(judgement: Judgement): boolean;
}

export const interrupts: Expectation = { what: 'a handler was interrupted', holds: ({ log }) => log.interrupted > 0 };
/** A node that the machine gives no time for a whole lease is buried rightly, whatever the fault. */
export const noneInterrupted: Expectation = {
  what: 'no handler was interrupted while every node kept its lease',
  holds: ({ log, leasesLost }) => log.interrupted === 0 || leasesLost > 0,
};
/** For the nodes that the fault was aimed at. */
export const keepLease = (...names: readonly string[]): Expectation => ({
  what: `${names.join(', ')} kept the lease`,
  holds: ({ leaseLosers }) => !names.some((name) => leaseLosers.includes(name)),
});
export const losesLease = (name: string): Expectation => ({
  what: `${name} lost its lease`,
  holds: ({ leaseLosers }) => leaseLosers.includes(name),
});
export const refusesEffects: Expectation = {
  what: 'the fence refused an effect',
  holds: ({ refusedEffects }) => refusedEffects > 0,
};
export const rejects: Expectation = { what: 'calls were rejected', holds: ({ rejected }) => rejected > 0 };
export const leavesUnknown: Expectation = { what: 'callers were told that nobody knows', holds: ({ unknown }) => unknown > 0 };
/** It is asked of half of them, since single ones are slow on any busy machine: most wait for 20 to 60 ms where nothing is wrong. */
export const slows = (ms: number): Expectation => ({
  what: `half of the results took ${ms} ms or longer meanwhile`,
  holds: ({ faultMsMedian }) => faultMsMedian >= ms,
});
export const suspends: Expectation = { what: 'a node stopped by its own clock', holds: ({ suspensions }) => suspensions > 0 };
export const COPIED = 'a batch came to Redis after it had been applied';
/** What the scenario itself has looked for, with `Stage.look`. */
export const saw = (what: string): Expectation => ({ what, holds: ({ seen }) => seen.includes(what) });
