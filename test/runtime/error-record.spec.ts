import { expect, it } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import { FinalFailure } from '../../src/ports/handler.js';
import { DueTimes } from '../../src/runtime/due-times.js';
import { errorOfState, errorText } from '../../src/runtime/error-record.js';
import { Replies } from '../../src/runtime/replies.js';
import { world } from './harness.js';

it('a failure of the library gives its caller what a user threw under it, with its stack', () => {
  const thrown = Object.assign(new TypeError('the schema broke'), { field: 'amount' });
  const failure = new AtomicQueuesError('SCHEMA_VIOLATION', 'the schema threw', { cause: thrown });
  const error = errorOfState('failed', errorText(new FinalFailure(failure)), 'account:a', '1');
  expect(error.code).toBe('SCHEMA_VIOLATION');
  expect(error.cause).toMatchObject({ name: 'TypeError', message: 'the schema broke', field: 'amount', stack: thrown.stack });
  expect(JSON.stringify(error)).not.toContain('error-record.spec.ts');
});

it('a reply whose error is no JSON does not end the wait, which still has its deadline', async () => {
  const { clock, store } = world();
  const replies = new Replies(clock, new DueTimes(clock), store, { generation: '' } as never);
  const waits = [50, 60].map((timeoutMs) => replies.wait('account:a', '1', { timeoutMs }).promise);
  expect(() => replies.settle('account:a', '1', 1, 'failed', '{"name":')).toThrow(SyntaxError);
  expect(replies.isAwaited('account:a', '1')).toBe(true);
  for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 'REPLY_TIMEOUT' });
});
