/** The user's code: a bank whose handlers read, work a while, and write, and misbehave as their message says. */
import { AtomicQueuesError } from '../src/core/errors.js';
import { entityKeyOf } from '../src/core/ids.js';
import { isClientError } from '../src/core/recorded-error.js';
import { TerminalError } from '../src/core/terminal-error.js';
import type { Clock, Timer } from '../src/ports/clock.js';
import type { Delivery, FailureRuling, HandlerPort } from '../src/ports/handler.js';
import { EntityContext } from '../src/runtime/context.js';
import type { Bank } from './bank.js';
import type { History } from './history.js';
import { type Job, QUERIES, type Target } from './job.js';
import { callOf } from './log-events.js';
import type { TypeFacts } from './run-facts.js';

/** What a handler does in place of its work on an account. */
export interface Act {
  /** Throws NotCalled if the payload does not fit this handler. */
  check(delivery: Delivery): void;
  /** Returns the result as JSON text. */
  run(delivery: Delivery): string;
}

export interface HandlerHost {
  readonly node: string;
  incarnation(): number;
  facts(type: string): TypeFacts;
  /** Calls another entity and waits. */
  ask(target: Target, signal: AbortSignal): Promise<string>;
  /** Returns what the handler of that call does; undefined if it works on an account. */
  actOf(call: string): Act | undefined;
}

const LATE: Job = { c: 'late', op: 'deposit', amount: 0, ms: 0, how: 'ok' };

class Stale extends Error {
  override readonly name = 'Stale';
}

/** A failure that the caller has to handle. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** Whether the adapter of NestJS takes the error for a reply to the caller. */
const isAnswer = (thrown: unknown): boolean => TerminalError.is(thrown) || isClientError(thrown);

export class SimHandler implements HandlerPort {
  /** The send that a handler which has ended tries later, from the handler that ended last. */
  private late: { readonly send: () => void; readonly endMs: number } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly bank: Bank,
    private readonly history: History,
    private readonly host: HandlerHost,
  ) {}

  check(delivery: Delivery): undefined {
    this.host.actOf(callOf(delivery.payload))?.check(delivery);
  }

  async run(delivery: Delivery): Promise<string> {
    const { type, entityId, payload } = delivery;
    const { history, host } = this;
    const context = EntityContext.current();
    this.sendLate();
    const call = callOf(payload);
    const act = host.actOf(call);
    if (act !== undefined) return this.act(act, delivery, call, context);
    const job = JSON.parse(payload) as Job;
    const run = new Run(this.clock, this.bank, history, host, context, `${type}:${entityId}`, job, host.facts(type));
    try {
      return await run.run();
    } finally {
      const entity = entityKeyOf(type, entityId);
      this.late = { send: () => context.enqueue({ entity, job: LATE }), endMs: this.clock.monotonicMs() };
    }
  }

  /** Tries a send of a handler that has ended. It must be refused, since the log already has the end of that handler. */
  private sendLate(): void {
    const { late, clock, history, host } = this;
    if (late === undefined || late.endMs === clock.monotonicMs()) return;
    this.late = undefined;
    try {
      late.send();
      const what = 'a handler has sent a message after its end';
      history.add({ kind: 'defect', node: host.node, incarnation: host.incarnation(), what });
    } catch (error) {
      if (!(error instanceof AtomicQueuesError) || error.code !== 'CONFIG_INVALID') throw error;
    }
  }

  private act(act: Act, delivery: Delivery, call: string, context: EntityContext): string {
    const { history, host } = this;
    const { sequence: seq, attempt, messageId: id, fence } = context;
    const entity = entityKeyOf(delivery.type, delivery.entityId);
    const where = { node: host.node, incarnation: host.incarnation(), entity, seq, attempt };
    history.add({ kind: 'start', ...where, id, fence, call, op: 'value', amount: 0 });
    try {
      const result = act.run(delivery);
      history.add({ kind: 'end', ...where, outcome: 'completed', result, sends: 0 });
      return result;
    } catch (error) {
      const more = isAnswer(error) ? { isRefusal: true } : {};
      history.add({ kind: 'end', ...where, outcome: 'failed', result: '', sends: 0, ...more });
      throw error;
    }
  }

  ruleOn(_type: string, name: string, thrown: unknown): FailureRuling {
    const isRefusal = isAnswer(thrown) || thrown instanceof Refusal;
    return { isFinal: isRefusal, leavesDeadLetter: !isRefusal && !QUERIES.includes(name) };
  }
}

class Run {
  private readonly incarnation: number;
  private sends = 0;
  /** Rejects when the handler stops because of its signal. */
  private readonly wound: Promise<never>;
  private winding: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly bank: Bank,
    private readonly history: History,
    private readonly host: HandlerHost,
    private readonly context: EntityContext,
    private readonly entity: string,
    private readonly job: Job,
    private readonly facts: TypeFacts,
  ) {
    this.incarnation = host.incarnation();
    this.wound = this.heed();
    this.wound.catch(() => undefined);
  }

  /**
   * Returns a promise that rejects when the handler stops because of its signal. Some handlers go on for a while after the abort,
   * and may even finish their work. The take-over hold exists for them.
   */
  private heed(): Promise<never> {
    const { job, clock } = this;
    const { signal } = this.context;
    return new Promise((_, reject) => {
      if (job.how === 'deaf' || job.how === 'dead') return;
      const wound = (): void => reject(new Error('aborted'));
      const abort = (): void => {
        if (job.lagMs === undefined) wound();
        else this.winding = clock.setTimer(job.lagMs, wound);
      };
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }

  private get where() {
    const { entity, incarnation } = this;
    const { sequence: seq, attempt } = this.context;
    return { node: this.host.node, incarnation, entity, seq, attempt };
  }

  async run(): Promise<string> {
    const { context, history, where, job } = this;
    const { fence } = context;
    const { c: call, op, amount } = job;
    const isEndless = job.how === 'dead' && { isEndless: true as const };
    history.add({ kind: 'start', ...where, id: context.messageId, fence, call, op, amount, ...isEndless });
    // `heed` uses addEventListener. Handlers use both ways to listen.
    context.signal.onabort = () => history.add({ kind: 'abort', ...where });
    try {
      const result = await this.work();
      history.add({ kind: 'end', ...where, outcome: 'completed', result, sends: this.sends });
      return result;
    } catch (error) {
      const isRefusal = error instanceof Refusal;
      history.add({ kind: 'end', ...where, outcome: 'failed', result: '', sends: 0, ...(isRefusal && { isRefusal }) });
      // The log keeps stacks. A run must not depend on the machine's paths or on the version of Node.
      if (error instanceof Error) delete error.stack;
      throw error;
    } finally {
      this.winding?.cancel();
    }
  }

  private async work(): Promise<string> {
    const { job, context } = this;
    const opened = this.touch('read');
    await this.sleep(job.ms * 0.6);
    if (job.how === 'throw' || (job.how === 'throw-first' && context.attempt === 1)) throw new Error(`told to fail (${job.c})`);
    if (job.how === 'refuse') throw new Refusal(`told to refuse (${job.c})`);
    if (job.how === 'hang') await this.sleep(Number.POSITIVE_INFINITY);
    if (job.how === 'dead') await new Promise<never>(() => undefined);
    const balance = this.write(opened);
    for (const { entity, job: sent } of job.sends ?? []) {
      context.enqueue({ entity, job: sent });
      this.sends++;
    }
    if (job.ask !== undefined) await this.host.ask(job.ask, context.signal).catch(() => '');
    await this.sleep(job.ms * 0.4);
    return ' '.repeat(job.padResult ?? 0) + JSON.stringify(balance);
  }

  /** Reads the balance, with the fence: a handler that comes with a lower fence is refused from here on. */
  private touch(what: 'read' | 'write'): number {
    const { bank, entity, facts, context } = this;
    const { fence } = context;
    const accepted = !facts.fenced || bank.admits(entity, fence);
    const { balance } = bank.account(entity);
    if (!accepted || what === 'read') this.history.add({ kind: 'effect', ...this.where, fence, what, accepted, balance });
    if (!accepted) throw new Stale(`fence ${fence} is behind`);
    return balance;
  }

  /** Writes the balance after the work. This pattern loses updates if two handlers of one entity overlap. */
  private write(opened: number): number {
    const { job, bank, entity, context, facts } = this;
    const account = bank.account(entity);
    const known = facts.maxAttempts > 1 ? account.journal.get(context.sequence) : undefined;
    if (known !== undefined) return known;
    if (job.op === 'read') return opened;
    this.touch('write');
    const balance = opened + (job.op === 'deposit' ? job.amount : -job.amount);
    account.balance = balance;
    account.journal.set(context.sequence, balance);
    this.history.add({ kind: 'effect', ...this.where, fence: context.fence, what: 'write', accepted: true, balance });
    return balance;
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = ms === Number.POSITIVE_INFINITY ? undefined : this.clock.setTimer(ms, resolve);
      this.wound.catch((error: unknown) => {
        timer?.cancel();
        reject(error);
      });
    });
  }
}
