/** One message of the workload, as its payload carries it. */
export interface Job {
  /** Name of the call. It is the first field, so that the store's observer finds it. */
  readonly c: string;
  readonly op: 'deposit' | 'withdraw' | 'read';
  readonly amount: number;
  /** How long the handler works, in ms. */
  readonly ms: number;
  readonly how: How;
  /** How long the handler goes on after its signal aborts, in ms. */
  readonly lagMs?: number;
  /** Transactional sends. */
  readonly sends?: readonly Target[];
  /** An entity that the handler calls and waits for. */
  readonly ask?: Target;
  /** Number of characters added to the payload. */
  readonly pad?: number;
  /** Number of characters added to the result: spaces before its number. */
  readonly padResult?: number;
}

export function payloadOf(job: Job): string {
  const text = JSON.stringify(job);
  return job.pad === undefined ? text : `${text.slice(0, -1)},"padding":"${'x'.repeat(job.pad)}"}`;
}

/**
 * ok: works and heeds its signal; throw: fails each time; throw-first: fails the first attempt; refuse: fails with a refusal,
 * which is neither retried nor made a dead letter; hang: never ends unless its signal aborts; deaf: works on although its signal
 * aborts; dead: never ends at all.
 */
export type How = 'ok' | 'throw' | 'throw-first' | 'refuse' | 'hang' | 'deaf' | 'dead';

export interface Target {
  readonly entity: string;
  readonly job: Job;
}

/** Returns whether the handler of the job, or of a message that it sends or asks, never ends. */
export const neverEnds = ({ how, sends = [], ask }: Job): boolean =>
  how === 'dead' || sends.some(({ job }) => neverEnds(job)) || (ask !== undefined && neverEnds(ask.job));

export const TYPES = ['plain', 'fenced', 'retried'] as const;
export type EntityType = (typeof TYPES)[number];

/** All messages of each type. */
export const NAMES: readonly Job['op'][] = ['deposit', 'withdraw', 'read'];

/** Messages of each type that change nothing. They leave no dead letter. */
export const QUERIES: readonly string[] = ['read'];

/** Returns the type of an entity of the workload, which is written 'type:id'. */
export const typeOf = (entity: string): EntityType => entity.slice(0, entity.indexOf(':')) as EntityType;
export const idOf = (entity: string): string => entity.slice(entity.indexOf(':') + 1);
