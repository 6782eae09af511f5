/**
 * The work of a handler: it reads an account of the bank, works a while, writes the account back, and misbehaves as its job says.
 */

import { EntityContext, TerminalError } from 'atomic-queues';
import type { Job, Target } from '../sim/job.js';
import { typeOf } from '../sim/job.js';
import type { RecordedEvent } from './record.js';
import type { BankAnswer, BankAsk } from './wire.js';

export interface Surroundings {
  readonly node: string;
  incarnation(): number;
  record(event: RecordedEvent): void;
  bank(ask: BankAsk): Promise<BankAnswer>;
  /** Makes a transactional send from the running handler. */
  send(context: EntityContext, target: Target): void;
  /** Calls another entity and waits. */
  ask(target: Target): Promise<unknown>;
}

class Stale extends Error {
  override readonly name = 'Stale';
}

export class Performer {
  constructor(private readonly around: Surroundings) {}

  async perform(job: Job): Promise<number> {
    const context = EntityContext.current();
    const { around } = this;
    const run = new Run(around, context, job);
    const { messageId: id, fence } = context;
    around.record({ kind: 'start', ...run.where, id, fence, call: job.c, op: job.op, amount: job.amount });
    context.signal.addEventListener('abort', () => around.record({ kind: 'abort', ...run.where }));
    try {
      const balance = await run.work();
      const result = JSON.stringify(balance);
      around.record({ kind: 'end', ...run.where, outcome: 'completed', result, sends: run.sends });
      return balance;
    } catch (error) {
      const isRefusal = TerminalError.is(error);
      around.record({ kind: 'end', ...run.where, outcome: 'failed', result: '', sends: 0, ...(isRefusal && { isRefusal }) });
      throw error;
    }
  }
}

class Run {
  readonly where: { node: string; incarnation: number; entity: string; seq: number; attempt: number };
  sends = 0;

  constructor(
    private readonly around: Surroundings,
    private readonly context: EntityContext,
    private readonly job: Job,
  ) {
    const { entityType, entityId, sequence: seq, attempt } = context;
    const entity = `${entityType}:${entityId}`;
    this.where = { node: around.node, incarnation: around.incarnation(), entity, seq, attempt };
  }

  async work(): Promise<number> {
    const { job, context, around } = this;
    const opened = await this.bank('read', 0);
    await this.sleep(job.ms * 0.6);
    if (job.how === 'throw' || (job.how === 'throw-first' && context.attempt === 1)) throw new Error(`told to fail (${job.c})`);
    if (job.how === 'refuse') throw new TerminalError(`told to refuse (${job.c})`);
    const change = job.op === 'deposit' ? job.amount : -job.amount;
    const balance = job.op === 'read' ? opened : await this.bank('write', opened + change);
    for (const target of job.sends ?? []) {
      around.send(context, target);
      this.sends++;
    }
    if (job.ask !== undefined) await around.ask(job.ask).catch(() => undefined);
    await this.sleep(job.ms * 0.4);
    return balance;
  }

  private async bank(what: BankAsk['do'], balance: number): Promise<number> {
    const { entity, seq, incarnation } = this.where;
    const { fence } = this.context;
    const type = typeOf(entity);
    const answer = await this.around.bank({
      ...{ do: what, entity, seq, incarnation, fence, balance },
      ...{ fenced: type !== 'plain', journal: type === 'retried' },
    });
    if (!answer.accepted) throw new Stale(`fence ${fence} is behind`);
    return answer.balance;
  }

  /**
   * Resolves after `ms`. If the signal aborts first, rejects after `lagMs` of winding down, for which the take-over hold exists.
   * A deaf job ignores the signal.
   */
  private sleep(ms: number): Promise<void> {
    const { signal } = this.context;
    const { lagMs = 0, how } = this.job;
    if (how === 'deaf') return new Promise((resolve) => setTimeout(resolve, ms));
    return new Promise((resolve, reject) => {
      const windDown = (): void => void setTimeout(() => reject(new Error('aborted')), lagMs);
      if (signal.aborted) {
        windDown();
        return;
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      }, ms);
      const abort = (): void => {
        clearTimeout(timer);
        windDown();
      };
      signal.addEventListener('abort', abort, { once: true });
    });
  }
}
