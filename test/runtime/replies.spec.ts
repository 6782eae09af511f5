/** Waits for messages that share an id: a message and its replays. */
import { describe, expect, it } from 'vitest';
import { DROPPED } from '../../src/core/log/operations.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { Replies } from '../../src/runtime/replies.js';
import { until, world } from './harness.js';

const ENTITY = 'account:a';
const ID = 'payment';

function waiting() {
  const { clock, store } = world();
  const replies = new Replies(clock, new DueTimes(clock), store, { generation: '' } as never);
  const wait = () => replies.wait(ENTITY, ID, { timeoutMs: 100 });
  return { replies, wait };
}

describe('a wait for a replay', () => {
  it('goes on when the end of the replayed message comes, and ends by its own', async () => {
    const { replies, wait } = waiting();
    const waiter = wait();
    replies.logged(waiter, 5);
    replies.settle(ENTITY, ID, 4, 'interrupted', '');
    expect(waiter.isOpen).toBe(true);
    replies.settle(ENTITY, ID, 5, 'completed', '7');
    expect(await waiter.promise).toBe('7');
  });

  it('does so too where that end comes before the answer to its append', async () => {
    const { replies, wait } = waiting();
    const waiter = wait();
    replies.settle(ENTITY, ID, 4, 'interrupted', '');
    replies.logged(waiter, 5);
    expect(waiter.isOpen).toBe(true);
    await expect(waiter.promise).rejects.toMatchObject({ code: 'REPLY_TIMEOUT' });
  });

  it('ends by its own end that comes before that answer, in whatever order the ends come', async () => {
    const { replies, wait } = waiting();
    const waiter = wait();
    replies.settle(ENTITY, ID, 5, 'completed', '7');
    replies.settle(ENTITY, ID, 4, 'interrupted', '');
    expect(waiter.isOpen).toBe(true);
    replies.logged(waiter, 5);
    expect(await waiter.promise).toBe('7');
  });

  it('is not ended by what the log knew of the replayed message', async () => {
    const { replies, wait } = waiting();
    const waiter = wait();
    replies.logged(waiter, 5);
    replies.settleKnown(ENTITY, ID, 4, { state: 'failed', result: '', error: '{"name":"Error","message":"no"}' });
    replies.settleKnown(ENTITY, ID, 4, { state: 'completed', result: '', error: DROPPED });
    expect(waiter.isOpen).toBe(true);
    replies.settleKnown(ENTITY, ID, 5, { state: 'completed', result: '7', error: '' });
    expect(await waiter.promise).toBe('7');
  });
});

/** A call that has given up, and has asked the log to withdraw its message. */
async function withdrawing() {
  const { replies } = waiting();
  const asked: string[] = [];
  replies.withdraw = (_, why) => void asked.push(why);
  const waiter = replies.wait(ENTITY, ID, { timeoutMs: 20, onTimeout: 'withdraw' });
  replies.logged(waiter, 5);
  await until('it gives up', () => asked.length === 1);
  return { replies, waiter };
}

it('a call that asks to take its message back gets the failure of a handler that ended with another WITHDRAWN, and nothing definite', async () => {
  const { replies, waiter } = await withdrawing();
  replies.settle(ENTITY, ID, 5, 'failed', '{"name":"AtomicQueuesError","message":"[WITHDRAWN] taken back","code":"WITHDRAWN"}');
  await expect(waiter.promise).rejects.toMatchObject({ definite: false, details: { error: { code: 'WITHDRAWN' } } });
});

it('a call whose own withdrawal is read back before its answer is there ends with REPLY_TIMEOUT, definite', async () => {
  const { replies, waiter } = await withdrawing();
  replies.settleKnown(ENTITY, ID, 5, { state: 'withdrawn', result: '', error: '' });
  await expect(waiter.promise).rejects.toMatchObject({ code: 'REPLY_TIMEOUT', definite: true, details: { withdrawn: true } });
});

it('each of several waits for one id ends by its own message, or by a later replay of it', async () => {
  const { replies, wait } = waiting();
  const [first, second] = [wait(), wait()];
  replies.logged(first, 4);
  replies.logged(second, 5);
  replies.settle(ENTITY, ID, 4, 'interrupted', '');
  await expect(first.promise).rejects.toMatchObject({ code: 'INTERRUPTED' });
  const third = wait();
  replies.logged(third, 4);
  replies.settle(ENTITY, ID, 5, 'completed', '7');
  expect(await Promise.all([second.promise, third.promise])).toEqual(['7', '7']);
  expect(replies.isAwaited(ENTITY, ID)).toBe(false);
});
