import dns from 'node:dns';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { openClient } from '../../src/cli/connect.js';
import { notConnected, reasonIn, storeCallErrorOf } from '../../src/redis/failures.js';
import { PubSubLink } from '../../src/redis/pubsub-link.js';
import { SystemClock } from '../../src/system/clock.js';
import { until } from '../runtime/harness.js';
import { failureOf, redisStore } from './support.js';

/** As Node fails where a name has several addresses, and each refuses. */
const refusedTwice = (): Error => {
  const errors = ['::1', '127.0.0.1'].map((address) => new Error(`connect ECONNREFUSED ${address}:6379`));
  return Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' });
};

describe('an error without a message of its own', () => {
  const both = 'connect ECONNREFUSED ::1:6379, connect ECONNREFUSED 127.0.0.1:6379';

  it('gives the reasons of the errors that it is made of, else its code, else its name', () => {
    expect(reasonIn(refusedTwice())).toBe(both);
    expect(reasonIn(Object.assign(new Error(), { code: 'EPIPE' }))).toBe('EPIPE');
    expect(reasonIn(new TypeError())).toBe('TypeError');
    expect(reasonIn('text')).toBe('text');
  });

  it('still says why a call to Redis failed', () => {
    expect(storeCallErrorOf(refusedTwice()).message).toBe(`the call to Redis got no answer: ${both}`);
    expect(notConnected(refusedTwice()).message).toBe(`there is no connection to Redis: ${both}`);
  });
});

it('a refusal of Redis is one also as an error of another realm, as a sandbox of Jest gets it', () => {
  const refusal: unknown = runInNewContext("Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' })");
  expect(storeCallErrorOf(refusal)).toMatchObject({ refused: true, kind: 'full', cause: refusal });
});

describe('a port of localhost that refuses', () => {
  const refusal = (port: number): RegExp => new RegExp(`connect ECONNREFUSED 127\\.0\\.0\\.1:${port}`);

  afterEach(() => void vi.restoreAllMocks());

  it('is named as the reason by the store, by the network and by the command line', async () => {
    const port = await freePort();
    // Both addresses, also on a machine whose hosts file names one.
    const both = [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ];
    const lookup = (...given: unknown[]): void => (given.at(-1) as (...found: unknown[]) => void)(null, both);
    vi.spyOn(dns, 'lookup').mockImplementation(lookup as never);
    const failure = await failureOf(redisStore(0, { connection: { host: 'localhost', port } }).open());
    expect(failure.message).toMatch(refusal(port));
    const connection = { host: 'localhost', port };
    const link = new PubSubLink({ connection, callTimeoutMs: 400, clock: new SystemClock() }, vi.fn(), vi.fn());
    link.open();
    await until('the link says why', () => refusal(port).test(String(link.problem)));
    link.close();
    await expect(openClient({ url: `redis://localhost:${port}`, prefix: 'aq' })).rejects.toThrow(refusal(port));
  });
});
