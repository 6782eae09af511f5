/** The callers: a few lanes that send planned messages through every form of the bus, and write down what they are told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../demo/random.js';
import { AtomicQueuesError, type EnqueueOutcome, type QueueBus, type Receipt } from '../../src/index.js';
import { type Handled, messageOf } from './messages.js';
import { drawPlan, type Plan } from './plan.js';
import type { Invoke, RecordWriter } from './record.js';

const LANES = 8;
const PAUSE_MS = { min: 2, max: 24 };
const RESEND_SHARE = 0.3;

/** A message that was sent before under this id. */
export interface Resend {
  readonly id: string;
  readonly plan: Plan;
}

export interface DriverOptions {
  readonly bus: QueueBus;
  readonly record: RecordWriter;
  readonly seed: number;
  readonly run: number;
  readonly resends: readonly Resend[];
}

export class Driver {
  readonly #options: DriverOptions;
  readonly #resends: Resend[];
  #calls = 0;
  #messages = 0;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.#resends = [...options.resends];
  }

  /** Sends new messages and resends until the process is killed. */
  async load(): Promise<never> {
    return Promise.race(Array.from({ length: LANES }, (_, lane) => this.#lane(lane)));
  }

  /** Sends what is to be sent again, and nothing new. Resolves when every call has been told. */
  async resendAll(): Promise<void> {
    const random = this.#random('resend');
    while (this.#resends.length > 0) {
      const some = this.#resends.splice(0, LANES);
      await Promise.all(some.map((again) => this.#again(random, again)));
    }
  }

  #random(stream: string): Random {
    return new Random(this.#options.seed, `run ${this.#options.run} ${stream}`);
  }

  async #lane(lane: number): Promise<never> {
    const random = this.#random(`lane ${lane}`);
    for (;;) {
      const again = random.chance(RESEND_SHARE) ? this.#resends.shift() : undefined;
      if (again === undefined) await this.#fresh(random);
      else await this.#again(random, again);
      await sleep(random.between(PAUSE_MS.min, PAUSE_MS.max));
    }
  }

  async #again(random: Random, { id, plan }: Resend): Promise<void> {
    if (random.chance(0.5)) await this.#enqueue(plan, id);
    else await this.#wait('wait', plan, id, 1000);
  }

  async #fresh(random: Random): Promise<void> {
    const draw = random.next();
    const plan = this.#plan(random);
    if (draw < 0.35) await this.#enqueue(plan, plan.ref);
    else if (draw < 0.5) await this.#enqueue(plan, undefined);
    else if (draw < 0.75) await this.#wait('wait', plan, plan.ref, random.between(20, 400));
    else if (draw < 0.8) await this.#wait('wait', plan, undefined, random.between(20, 400));
    else if (draw < 0.9) await this.#wait('withdraw', plan, plan.ref, random.between(1, 30));
    else await this.#bulk(random, plan);
  }

  #plan(random: Random): Plan {
    return drawPlan(random, `m${this.#options.run}.${++this.#messages}`);
  }

  #invoke(mode: Invoke['mode'], plan: Plan, id: string | undefined): string {
    const call = `${this.#options.run}.${++this.#calls}`;
    this.#options.record.write({ kind: 'invoke', call, mode, id, plan });
    return call;
  }

  #receipt(call: string, { id, sequence: seq }: Receipt): void {
    this.#options.record.write({ kind: 'told', call, verdict: 'receipt', id, seq });
  }

  #error(call: string, error: unknown): void {
    const known = error instanceof AtomicQueuesError;
    const code = known ? error.code : 'NOT_OURS';
    const text = error instanceof Error ? error.message : String(error);
    this.#options.record.write({ kind: 'told', call, verdict: 'error', code, definite: known && error.definite, text });
  }

  async #enqueue(plan: Plan, id: string | undefined): Promise<void> {
    const call = this.#invoke('enqueue', plan, id);
    try {
      this.#receipt(call, await this.#options.bus.enqueue(messageOf(plan), { id }));
    } catch (error) {
      this.#error(call, error);
    }
  }

  async #wait(mode: 'wait' | 'withdraw', plan: Plan, id: string | undefined, timeoutMs: number): Promise<void> {
    const call = this.#invoke(mode, plan, id);
    const onTimeout = mode === 'withdraw' ? 'withdraw' : 'keep';
    try {
      const { ref } = await this.#options.bus.enqueueAndWait<Handled>(messageOf(plan), { id, timeoutMs, onTimeout });
      this.#options.record.write({ kind: 'told', call, verdict: 'result', ref });
    } catch (error) {
      this.#error(call, error);
    }
  }

  async #bulk(random: Random, first: Plan): Promise<void> {
    const plans = [first, ...Array.from({ length: random.between(1, 5) }, () => this.#plan(random))];
    const items = plans.map((plan) => ({ plan, id: random.chance(0.6) ? plan.ref : undefined }));
    const calls = items.map(({ plan, id }) => this.#invoke('bulk', plan, id));
    let outcomes: EnqueueOutcome[];
    try {
      outcomes = await this.#options.bus.enqueueBulk(items.map(({ plan, id }) => ({ message: messageOf(plan), id })));
    } catch (error) {
      for (const call of calls) this.#error(call, error);
      return;
    }
    outcomes.forEach((outcome, index) => {
      const call = calls[index] as string;
      if (outcome.ok) this.#receipt(call, outcome.receipt);
      else this.#error(call, outcome.error);
    });
  }
}
