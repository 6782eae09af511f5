import type { Judgement } from '../judge.js';
import type { Stage } from '../stage.js';

/** Faults that are applied to a cluster that works. */
export interface Scenario {
  readonly name: string;
  /** What the scenario shows, in one sentence. */
  readonly shows: string;
  /** Descriptions of the faults, for people. */
  readonly faults: readonly string[];
  /** Its counterpart in the simulator: a scenario, or a kind of fault that seeds draw. */
  readonly twin: string;
  /** Whether CI runs the scenario. */
  readonly ci?: boolean;
  /** Number of nodes. Default 3. */
  readonly nodes?: number;
  /** Whether nodes use pub/sub instead of gRPC. */
  readonly pubsub?: boolean;
  /** Prerequisite that a machine may lack. */
  readonly needs?: 'containers' | 'libfaketime';
  /** Effects that the faults must have had. Without them the scenario shows nothing. */
  readonly must: readonly Expectation[];
  /** Applies the faults. Load runs before, meanwhile and after. Faults that it does not heal are healed afterwards. */
  play(stage: Stage): Promise<void>;
}

export interface Expectation {
  readonly what: string;
  holds(judgement: Judgement): boolean;
}

export const interrupts: Expectation = { what: 'a handler was interrupted', holds: ({ log }) => log.interrupted > 0 };
/** A node that gets no time from the machine for a whole lease is evicted rightly, whatever the fault is. */
export const noneInterrupted: Expectation = {
  what: 'no handler was interrupted while every node kept its lease',
  holds: ({ log, leasesLost }) => log.interrupted === 0 || leasesLost > 0,
};
/** Requires that the nodes of the fault keep their leases. */
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
/**
 * Requires the duration of half of the calls, because single calls are slow on any busy machine. Without a fault most calls take
 * 20 to 60 ms.
 */
export const slows = (ms: number): Expectation => ({
  what: `half of the results took ${ms} ms or longer meanwhile`,
  holds: ({ faultMsMedian }) => faultMsMedian >= ms,
});
export const suspends: Expectation = { what: 'a node stopped by its own clock', holds: ({ suspensions }) => suspensions > 0 };
export const COPIED = 'a batch came to Redis after it had been applied';
/** Requires an observation that the scenario makes with `Stage.look`. */
export const saw = (what: string): Expectation => ({ what, holds: ({ seen }) => seen.includes(what) });
