import { CommandHandler } from '@nestjs/cqrs';
import { describe, expect, it } from 'vitest';
import { EntityContext, EntityType, QueueEntityId } from '../../src/index.js';
import { startBus } from './app.js';

@EntityType('t')
class Say {
  @QueueEntityId() readonly id: string = 'e';

  constructor(
    readonly what: string,
    readonly sends: string[] = [],
  ) {}
}

@CommandHandler(Say)
class SayHandler {
  async execute({ what, sends }: Say): Promise<string> {
    for (const sent of sends) EntityContext.current().enqueue(new Say(sent));
    await new Promise((resolve) => setTimeout(resolve, 20));
    return what;
  }
}

const start = () => startBus({ providers: [SayHandler] });

describe('the order of calls (I3)', () => {
  it('holds from a bulk to what is sent after it in the same turn', async () => {
    const bus = await start();
    const [[first], second] = await Promise.all([bus.enqueueBulk([new Say('first')]), bus.enqueue(new Say('second'))]);
    expect(first?.ok && first.receipt.sequence).toBeLessThan(second.sequence);
  });
});

describe('ids that the library makes (I5)', () => {
  it('are no ids that a caller can give: a receipt is no idempotency key', async () => {
    const bus = await start();
    const { id } = await bus.enqueue(new Say('first'));
    expect(await bus.enqueueAndWait(new Say('second'), { id })).toBe('second');
  });

  it('do not meet those of callers: a transactional send beside a message named like it', async () => {
    const bus = await start();
    await bus.enqueue(new Say('first', ['child']), { id: 'X' });
    const calls = ['X/0', 'X%/0'].map((id) => bus.enqueueAndWait(new Say(id), { id }));
    expect(await Promise.all(calls)).toEqual(['X/0', 'X%/0']);
  });
});
