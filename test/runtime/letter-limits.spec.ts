import { describe, expect, it } from 'vitest';
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { ControlAnswer, ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { SessionOp } from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import type { Store } from '../../src/ports/store.js';
import type { Trace } from '../../src/ports/trace.js';
import { DeadLetterLimits } from '../../src/runtime/letter-limits.js';
import { message } from '../redis/support.js';

const SETTINGS = {
  ...{ leaseTtlMs: 1000, takeoverHoldMs: 0, entryTtlMs: 1000, resultTtlMs: 1000, depthMax: 0 },
  ...{ leaderTtlMs: 1000, leaderDebounceMs: 0 },
};

/** A log with dead letters, and what was asked and told about them, in order. */
class Letters {
  readonly state = new PartitionState();
  readonly told: string[] = [];
  readonly asked: ControlOp[] = [];
  nowMs = 1_000_000;
  private n = 0;
  private seq = 0;

  constructor() {
    const contracts = [{ type: 'account', maxAttempts: 1, onInterrupt: 'dead-letter', names: ['Deposit'], depthMax: 0 } as const];
    const join = { serverId: 's', group: 'g', address: '', token: 't', schema: 1, generation: 'g1', workersMax: 0 };
    applyControl(this.state, { op: 'join', ...join, settings: SETTINGS, contracts }, this.nowMs);
    this.apply({ op: 'claim', entity: 'account:a' });
  }

  private apply(...ops: SessionOp[]): void {
    const reply = applyBatch(this.state, { generation: 'g1', incarnation: 1, token: 't', n: ++this.n, ops }, this.nowMs);
    if (reply.status !== 'applied' || reply.answers.some(({ ok }) => !ok)) throw new Error(JSON.stringify(reply));
  }

  make(count: number): void {
    for (let i = 0; i < count; i++) {
      const seq = ++this.seq;
      const outcome = { state: 'failed', result: '', error: '{"name":"Error","message":"no"}' } as const;
      this.apply(
        { op: 'append', entity: 'account:a', message: message(`m${seq}`), depthMax: 0, begin: true },
        { op: 'finish', entity: 'account:a', fence: 1, seq, attempt: 1, outcome, sends: [], next: -1 },
      );
    }
  }

  /** Calls `before` ahead of each operation. */
  limits(max: number, ttlMs: number, before: (op: ControlOp) => void = () => undefined): DeadLetterLimits {
    const control = async <O extends ControlOp>(op: O): Promise<ControlAnswerOf[O['op']]> => {
      before(op);
      this.asked.push(op);
      return applyControl(this.state, op, this.nowMs) as ControlAnswer as ControlAnswerOf[O['op']];
    };
    const emit: Trace['emit'] = (_, data) =>
      void this.told.push(`${(data as { letter: string }).letter}${this.has(data) ? '' : ' late'}`);
    return new DeadLetterLimits({ control } as Store, { verbose: false, emit }, { max, ttlMs });
  }

  private has(data: object): boolean {
    return this.state.letters.has((data as { letter: string }).letter);
  }

  get left(): string[] {
    return [...this.state.letters.keys()];
  }

  /** Whether the node that enforces them has stopped. */
  isOver = false;

  async enforce(limits: DeadLetterLimits): Promise<number> {
    let turns = 1;
    while (await limits.enforce(this.nowMs, () => this.isOver)) turns++;
    return turns;
  }
}

describe('the limits of dead letters', () => {
  it('ask nothing where there are none', async () => {
    const letters = new Letters();
    letters.make(3);
    await letters.enforce(letters.limits(0, 0));
    expect(letters.asked).toEqual([]);
  });

  it('delete the oldest of more than max, each after its warning', async () => {
    const letters = new Letters();
    letters.make(7);
    await letters.enforce(letters.limits(3, 0));
    expect(letters.left).toEqual(['5', '6', '7']);
    expect(letters.told).toEqual(['1', '2', '3', '4']);
  });

  it('delete what is older than ttl, and no younger one', async () => {
    const letters = new Letters();
    letters.make(150);
    letters.nowMs += 500;
    letters.make(2);
    const limits = letters.limits(0, 1000);
    await letters.enforce(limits);
    expect(letters.left).toHaveLength(152);
    letters.nowMs += 500;
    await letters.enforce(limits);
    expect(letters.left).toEqual(['151', '152']);
    expect(letters.told).toHaveLength(150);
  });

  it('delete what is older than ttl behind letters that a clock far ahead has stamped', async () => {
    const letters = new Letters();
    letters.nowMs += 1_000_000;
    letters.make(250);
    letters.nowMs -= 1_000_000;
    letters.make(150);
    letters.nowMs += 1000;
    letters.make(2);
    const limits = letters.limits(0, 1000);
    // One page for each time that the limits are enforced, until one finds something.
    for (let i = 0; i < 3; i++) await letters.enforce(limits);
    expect(letters.told).toHaveLength(150);
    expect(letters.left).toEqual([...Array.from({ length: 250 }, (_, i) => `${i + 1}`), '401', '402']);
    // The walk begins again at the first one.
    letters.nowMs += 1000;
    for (let i = 0; i < 4; i++) await letters.enforce(limits);
    expect(letters.left).toHaveLength(250);
  });

  it.each(['counts', 'letters', 'purge'] as const)('ask for nothing more once the node has stopped: at %s', async (last) => {
    const letters = new Letters();
    letters.make(3);
    letters.nowMs += 1000;
    const limits = letters.limits(0, 1000, ({ op }) => {
      letters.isOver = op === last;
    });
    await letters.enforce(limits);
    expect(letters.asked.at(-1)?.op).toBe(last);
    expect(letters.asked.filter(({ op }) => op === last)).toHaveLength(1);
  });

  it.each(['letters', 'purge'] as const)('nor behind the oldest ones: at %s', async (last) => {
    const letters = new Letters();
    letters.nowMs += 1_000_000;
    letters.make(1);
    letters.nowMs -= 1_000_000;
    letters.make(2);
    letters.nowMs += 1000;
    let asked = 0;
    const limits = letters.limits(0, 1000, ({ op }) => {
      if (op === 'letters') asked++;
      letters.isOver = op === last && asked === 2;
    });
    await letters.enforce(limits);
    const before = letters.asked.map(({ op }) => op);
    expect(before.slice(0, 3)).toEqual(['counts', 'letters', 'letters']);
    expect(before.slice(3)).toEqual(last === 'purge' ? ['purge'] : []);
  });

  it('cost the same few reads however many dead letters there are', async () => {
    for (const count of [10, 1000]) {
      const letters = new Letters();
      letters.make(count);
      const limits = letters.limits(count, 1000);
      const turnWithoutDue = async (): Promise<void> => {
        letters.asked.length = 0;
        await letters.enforce(limits);
        expect(letters.asked.map(({ op }) => op)).toEqual(['counts', 'letters', 'letters']);
        expect(letters.asked.slice(1)).toMatchObject([{ max: 1 }, { max: 100 }]);
      };
      await turnWithoutDue();
      await turnWithoutDue();
      letters.make(300);
      letters.asked.length = 0;
      await letters.enforce(limits);
      expect(letters.left).toHaveLength(count);
      expect(letters.asked.filter(({ op }) => op !== 'purge').length).toBeLessThanOrEqual(12);
      await turnWithoutDue();
    }
  });

  it('leave a dead letter that is within them when its turn comes', async () => {
    const letters = new Letters();
    letters.make(5);
    // An operator makes room in the middle.
    const limits = letters.limits(3, 0, (op) => {
      if (op.op !== 'purge' || op.letter !== '1' || letters.left.length < 5) return;
      for (const letter of ['3', '4']) applyControl(letters.state, { op: 'purge', letter }, letters.nowMs);
    });
    await letters.enforce(limits);
    expect(letters.left).toEqual(['1', '2', '5']);
  });
});

it('the first page of the core costs no more for all that was deleted before it', () => {
  const letters = new Letters();
  letters.make(2000);
  for (const letter of letters.left.slice(0, 1999)) applyControl(letters.state, { op: 'purge', letter }, letters.nowMs);
  let looked = 0;
  const get = letters.state.letters.get.bind(letters.state.letters);
  letters.state.letters.get = (key) => {
    looked++;
    return get(key);
  };
  const page = applyControl(letters.state, { op: 'letters', after: '', max: 1 }, letters.nowMs);
  expect(page).toMatchObject({ letters: [{ id: '2000' }], next: '' });
  expect(looked).toBe(1);
});
