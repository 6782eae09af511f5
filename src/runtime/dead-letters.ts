/**
 * Lists, replays and purges the dead letters of a store. Uses control operations only, so it works with and without a node.
 *
 *   (1) Dead letters are read in pages, never as a whole, and each page of the store is bounded in time.
 *   (2) A run over many takes the dead letters that exist when it begins: a replay that fails again is not replayed in the same
 *       run. The bound is the number of a dead letter, which only grows. It is not a time, which a failover may set back.
 */
import { type DeadLetter, deadLetterOf } from '../core/dead-letter.js';
import { AtomicQueuesError } from '../core/errors.js';
import { entityIdOf, entityKeyOf, isEntityTypeName, unescapeId } from '../core/ids.js';
import type { ControlAnswerOf, ControlOp, LetterFilter } from '../core/log/control-operations.js';
import type { RefusalCode } from '../core/log/operations.js';
import type { Clock } from '../ports/clock.js';
import { type Store, StoreCallError } from '../ports/store.js';

/** Selects the dead letters that match all given fields. */
export interface DeadLetterFilter {
  readonly entityType?: string | undefined;
  /** With `entityType`: one entity. */
  readonly entityId?: string | undefined;
  readonly reason?: DeadLetter['reason'] | undefined;
  /** Died at this time of the store's clock or later, milliseconds since 1970. */
  readonly sinceMs?: number | undefined;
  readonly replayed?: boolean | undefined;
}

export interface DeadLetterListOptions extends DeadLetterFilter {
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** 1 to 1000; default 50. */
  readonly limit?: number | undefined;
}

export interface DeadLetterPage {
  /** Oldest first. */
  readonly letters: readonly DeadLetter[];
  /** `after` of the next page; undefined if there is none. */
  readonly next: string | undefined;
}

export interface ReplayRefusal {
  readonly ok: false;
  readonly why: 'absent' | 'replayed' | 'needs-force' | 'limit';
  readonly message: string;
}

export type ReplayOutcome = { readonly ok: true; readonly messageId: string; readonly sequence: number } | ReplayRefusal;

export interface ReplayOptions {
  /**
   * Also replays a dead letter whose handler returned after its node was evicted (`late.outcome` is 'completed'). Only your own
   * data shows whether that handler had its effect: look before you set it. Default false.
   */
  readonly force?: boolean | undefined;
}

export interface RunOptions {
  /** Counts, and changes nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Ends the run between two dead letters. */
  readonly signal?: AbortSignal | undefined;
  /** Takes no dead letter above that number: `lastLetter` of an earlier run. Default: the newest one when the run begins. */
  readonly throughLetter?: string | undefined;
  /** Called after each dead letter. */
  readonly onProgress?: ((done: RunResult) => void) | undefined;
}

export interface ReplayRunOptions extends ReplayOptions, RunOptions {
  /** At most so many replays a second. Default 100. */
  readonly perSecond?: number | undefined;
}

export interface RunResult {
  /** Number of dead letters replayed or purged; in a dry run, of those that would be. */
  readonly done: number;
  /** Numbers of refused dead letters, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Why the run ended before the last dead letter; undefined if it did not. */
  readonly stopped: 'aborted' | 'limit' | undefined;
  /** Number of the newest dead letter that the run might take; '0' if there was none. */
  readonly lastLetter: string;
}

export const LIMIT_DEFAULT = 50;
export const LIMIT_MAX = 1000;
export const PER_SECOND_DEFAULT = 100;

type Mutable = { -readonly [K in keyof RunResult]: RunResult[K] } & { refused: Record<string, number> };
type Step = (letter: DeadLetter) => Promise<'done' | ReplayRefusal['why']>;

export class DeadLetterBox {
  /** `admit` throws if the node may log nothing now; it is called before each replay. */
  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly admit: () => void = () => undefined,
  ) {}

  async count(): Promise<number> {
    return (await this.ask({ op: 'counts' })).letters;
  }

  async list(options: DeadLetterListOptions = {}): Promise<DeadLetterPage> {
    const { after = '', limit = LIMIT_DEFAULT } = options;
    if (!/^\d*$/.test(after)) throw invalid(`after is ${JSON.stringify(after)}; allowed: what a page gave as next`);
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
      throw invalid(`limit is ${limit}; allowed: a whole number from 1 to ${LIMIT_MAX}`);
    const filter = filterOf(options);
    const letters: DeadLetter[] = [];
    let next = after;
    do {
      const page = await this.ask({ op: 'letters', after: next, max: limit - letters.length, ...filter });
      letters.push(...page.letters.map(deadLetterOf));
      next = page.next;
    } while (next !== '' && letters.length < limit);
    return { letters, next: next === '' ? undefined : next };
  }

  /** Returns undefined if no dead letter has that number. */
  async show(id: string): Promise<DeadLetter | undefined> {
    if (!isLetterId(id)) return undefined;
    const page = await this.ask({ op: 'letters', after: String(Number(id) - 1), max: 1 });
    const letter = page.letters[0];
    return letter?.id === id ? deadLetterOf(letter) : undefined;
  }

  /**
   * Logs the message of a dead letter again, at the end of its entity's queue. It keeps an id that its caller gave, and calls
   * with that id then get the outcome of the replay; otherwise it gets a new id. Refuses a second replay.
   */
  async replay(id: string, options: ReplayOptions = {}): Promise<ReplayOutcome> {
    if (!isLetterId(id)) return refusal('ABSENT', id);
    this.admit();
    const answer = await this.ask({ op: 'replay', letter: id, force: options.force === true });
    return answer.ok ? { ok: true, messageId: unescapeId(answer.id), sequence: answer.seq } : refusal(answer.code, id, answer.at);
  }

  /** Returns why `replay` would refuse the dead letter now. Queue limits are not checked: only the log can count them. */
  async refusalOf(id: string, options: ReplayOptions = {}): Promise<ReplayRefusal | undefined> {
    const code = refusalCodeOf(await this.show(id), options);
    return code === undefined ? undefined : refusal(code, id);
  }

  /** Deletes the dead letter permanently. Returns false if no dead letter has that number. */
  async purge(id: string): Promise<boolean> {
    return isLetterId(id) && (await this.ask({ op: 'purge', letter: id })).ok;
  }

  /** Replays all that match and were not replayed yet. */
  replayAll(filter: DeadLetterFilter, options: ReplayRunOptions = {}): Promise<RunResult> {
    const { perSecond = PER_SECOND_DEFAULT, dryRun = false } = options;
    if (!(perSecond > 0)) throw invalid(`perSecond is ${perSecond}; allowed: a number above 0`);
    const wouldBe: Step = async (letter) => {
      const code = refusalCodeOf(letter, options);
      return code === undefined ? 'done' : refusal(code, letter.id).why;
    };
    const replayed: Step = async ({ id }) => {
      const outcome = await this.replay(id, options);
      return outcome.ok ? 'done' : outcome.why;
    };
    const step = dryRun ? wouldBe : replayed;
    return this.run({ ...filter, replayed: false }, options, dryRun ? 0 : 1000 / perSecond, step);
  }

  /** Deletes all that match, permanently. */
  purgeAll(filter: DeadLetterFilter, options: RunOptions = {}): Promise<RunResult> {
    const step: Step = async ({ id }) => (options.dryRun === true || (await this.purge(id)) ? 'done' : 'absent');
    return this.run(filter, options, 0, step);
  }

  private async run(which: DeadLetterFilter, options: RunOptions, everyMs: number, step: Step): Promise<RunResult> {
    const { signal, onProgress } = options;
    const filter = filterOf(which);
    const lastLetter = options.throughLetter ?? String((await this.ask({ op: 'counts' })).lastLetter);
    if (!/^\d+$/.test(lastLetter))
      throw invalid(`throughLetter is ${JSON.stringify(lastLetter)}; allowed: the number of a letter`);
    const result: Mutable = { done: 0, refused: {}, stopped: undefined, lastLetter };
    let dueMs = this.clock.monotonicMs();
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page: ControlAnswerOf['letters'] = await this.ask({ op: 'letters', after, max: LIMIT_MAX, ...filter });
      for (const letter of page.letters) {
        if (Number(letter.id) > Number(lastLetter)) return result;
        await this.until(dueMs);
        if (signal?.aborted === true) return { ...result, stopped: 'aborted' };
        dueMs = Math.max(dueMs, this.clock.monotonicMs()) + everyMs;
        const how = await step(deadLetterOf(letter));
        if (how === 'done') result.done++;
        else result.refused[how] = (result.refused[how] ?? 0) + 1;
        onProgress?.({ ...result });
        if (how === 'limit') return { ...result, stopped: 'limit' };
      }
      if (signal?.aborted === true) return { ...result, stopped: 'aborted' };
      after = page.next === '' ? undefined : page.next;
    }
    return result;
  }

  private async until(dueMs: number): Promise<void> {
    const waitMs = dueMs - this.clock.monotonicMs();
    if (waitMs > 0) await new Promise<void>((resolve) => this.clock.setTimer(waitMs, resolve));
  }

  private async ask<O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> {
    let answer: ControlAnswerOf[O['op']];
    try {
      answer = await this.store.control(op);
    } catch (error) {
      if (!(error instanceof StoreCallError)) throw error;
      const changes = op.op === 'replay' || op.op === 'purge';
      throw new AtomicQueuesError(changes && !error.refused ? 'OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE', error.message, {
        cause: error,
        details: { cause: error.message },
      });
    }
    if (!answer.ok && answer.code === 'CLOSED')
      throw new AtomicQueuesError(
        'STORE_LOST',
        'the store lost acknowledged writes and is shut: nothing is replayed or deleted',
        {
          definite: true,
        },
      );
    return answer;
  }
}

const isLetterId = (id: string): boolean => /^[1-9]\d{0,15}$/.test(id);

const invalid = (message: string): AtomicQueuesError => new AtomicQueuesError('CONFIG_INVALID', message);

function filterOf({ entityType: type, entityId, reason, sinceMs, replayed }: DeadLetterFilter): LetterFilter {
  if (type !== undefined && !isEntityTypeName(type))
    throw invalid(`entityType is ${JSON.stringify(type)}, which no entity type is`);
  if (reason !== undefined && !REASONS.has(reason))
    throw invalid(`reason is ${JSON.stringify(reason)}; allowed: ${[...REASONS].join(', ')}`);
  if (sinceMs !== undefined && !Number.isFinite(sinceMs))
    throw invalid(`sinceMs is ${sinceMs}; allowed: milliseconds since 1970`);
  if (entityId === undefined) return { type, reason, sinceMs, replayed };
  if (type === undefined) throw invalid('entityId without entityType: an id alone names no entity');
  return { entity: entityKeyOf(type, entityIdOf(entityId, type)), reason, sinceMs, replayed };
}

const REASONS: ReadonlySet<string> = new Set<DeadLetter['reason']>(['failed', 'interrupted']);

/** Applies the log's own rules to a dead letter as it was read: predicts what a replay would do, without one. */
function refusalCodeOf(letter: DeadLetter | undefined, { force = false }: ReplayOptions): RefusalCode | undefined {
  if (letter === undefined) return 'ABSENT';
  if (letter.replayedAs !== null) return 'REPLAYED';
  return letter.late?.outcome === 'completed' && !force ? 'NEEDS_FORCE' : undefined;
}

interface Refused {
  readonly why: ReplayRefusal['why'];
  readonly textOf: (id: string, at: number) => string;
}

const REFUSED: Readonly<Partial<Record<RefusalCode, Refused>>> = {
  ABSENT: { why: 'absent', textOf: (id) => `there is no dead letter ${id}` },
  REPLAYED: { why: 'replayed', textOf: (id) => `dead letter ${id} was replayed already` },
  NEEDS_FORCE: {
    why: 'needs-force',
    textOf: (id) =>
      `dead letter ${id} needs force: its handler returned after its node was given up, so its effect may be there. Look in your own data first`,
  },
  QUEUE_DEPTH_EXCEEDED: { why: 'limit', textOf: (id, at) => `no room to replay dead letter ${id}: maxTotalQueueDepth is ${at}` },
  WORKER_LIMIT_EXCEEDED: {
    why: 'limit',
    textOf: (id, at) => `no room to replay dead letter ${id}: maxTotalWorkers of the live nodes is ${at}`,
  },
};

function refusal(code: RefusalCode, id: string, at = 0): ReplayRefusal {
  const refused = REFUSED[code];
  if (refused === undefined)
    throw new AtomicQueuesError('STORE_UNAVAILABLE', `the store refused with ${code}`, {
      definite: true,
      details: { cause: code },
    });
  return { ok: false, why: refused.why, message: refused.textOf(id, at) };
}
