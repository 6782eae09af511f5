/** One message of the workload, as its payload carries it. */
export interface Job {
  /** Name of the call; first, so that the store's observer finds it. */
  readonly c: string;
  readonly op: 'deposit' | 'withdraw' | 'read';
  readonly amount: number;
  /** How long the handler works, ms. */
  readonly ms: number;
  readonly how: How;
  /** How long it winds down once its signal aborts, ms. */
  readonly lagMs?: number;
  /** Transactional sends. */
  readonly sends?: readonly Target[];
  /** Calls another entity and waits for it. */
  readonly ask?: Target;
  /** Characters that the payload has besides. */
  readonly pad?: number;
  /** Characters that the result has besides: spaces before its number. */
  readonly padResult?: number;
}

export function payloadOf(job: Job): string {
  const text = JSON.stringify(job);
  return job.pad === undefined ? text : `${text.slice(0, -1)},"padding":"${'x'.repeat(job.pad)}"}`;
}

/**
 * ok: works and heeds its signal; throw: fails each time; throw-first: fails the first attempt; refuse: fails with a refusal, which
 * is neither retried nor made a dead letter; hang: never ends, unless its
 * signal aborts; deaf: works on whatever its signal says; dead: never ends at all.
 */
export type How = 'ok' | 'throw' | 'throw-first' | 'refuse' | 'hang' | 'deaf' | 'dead';

export interface Target {
  readonly entity: string;
  readonly job: Job;
}

/** Whether its handler never ends, or that of a message which it sends or asks. */
export const neverEnds = ({ how, sends = [], ask }: Job): boolean =>
  how === 'dead' || sends.some(({ job }) => neverEnds(job)) || (ask !== undefined && neverEnds(ask.job));

export const TYPES = ['plain', 'fenced', 'retried'] as const;
export type EntityType = (typeof TYPES)[number];

/** All messages, of each type. */
export const NAMES: readonly Job['op'][] = ['deposit', 'withdraw', 'read'];

/** Messages that change nothing, of each type: they leave no dead letter. */
export const QUERIES: readonly string[] = ['read'];

/** An entity of the workload as 'type:id'. */
export const typeOf = (entity: string): EntityType => entity.slice(0, entity.indexOf(':')) as EntityType;
export const idOf = (entity: string): string => entity.slice(entity.indexOf(':') + 1);
