import { describe, expect, it } from 'vitest';
import { faultsOf, pathsOf, resolve } from './config-faults.js';

describe('where Redis is', () => {
  const why = (redis: object): string[] => faultsOf({ redis }).map(({ path, allowed, why }) => `${path}: ${allowed} (${why})`);

  it.each(['/', '#', '?', '%'])('a password with a raw %s in the URL: what to write for it, and where else to put it', (raw) => {
    for (const url of [`redis://:pa${raw}ss@h:1/2`, `redis://u:12${raw}ss@h`, `rediss://u${raw}:pw@h`]) {
      const [fault, ...rest] = why({ url });
      expect(rest).toEqual([]);
      expect(fault).toContain('redis.url: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]');
      expect(fault).toContain(`a raw "${raw}": write it as ${encodeURIComponent(raw)}, or give host, user name and password`);
    }
    const encoded = `redis://u:pa${encodeURIComponent(raw)}ss@h:1/2`;
    expect(resolve({ redis: { url: encoded } }).redis).toEqual({ url: encoded });
  });

  it.each([
    ['redis://:a:b@c@h', []],
    ['redis://h:1?db=3&family=6', []],
    ['redis://[::1]:7000/0', []],
    ['redis:///2', []],
    ['redis://h:99999', ['host or port is wrong']],
    ['redis://::1:7000', ['host or port is wrong']],
    ['redis://h/main', ['is not a number']],
    ['redis://h?db=main', ['is not a number']],
    ['redis://h?db=', ['is not a number']],
    ['redis://h?keyPrefix=x', ['it sets the option "keyPrefix"']],
    ['redis://h?maxRetriesPerRequest=20', ['it sets the option "maxRetriesPerRequest"']],
    ['http://h', ['does not begin with redis://']],
  ])('%s', (url, said) => {
    expect(why({ url })).toEqual(said.map((text) => expect.stringContaining(text)));
  });

  it.each([
    ['::1', '::1'],
    ['[::1]', '::1'],
    ['[fe80::1%eth0]', 'fe80::1%eth0'],
    ['10.0.0.1', '10.0.0.1'],
    ['redis-master.prod.svc', 'redis-master.prod.svc'],
  ])('the host %s is %s', (given, host) => {
    expect(resolve({ redis: { host: given } }).redis).toMatchObject({ host });
  });

  it('a host with its port, or a whole URL, is refused by the field', () => {
    for (const host of ['h:6379', '[::1]:6379', 'redis://h', 'h/0', '[h]', '[::1', 'u@h'])
      expect(why({ host })).toEqual([expect.stringMatching(/^redis\.host: .*\(a port belongs into `redis\.port`/)]);
  });

  it('user, password and database are given once: the client would take those of the URL, which may be empty', () => {
    expect(why({ url: 'redis://h', username: 'app', password: 'p', db: 3 })).toEqual([]);
    for (const more of [{ password: 'p' }, { username: 'app' }])
      expect(why({ url: 'redis://app@h', ...more })).toEqual([
        expect.stringContaining('redis.url: user name and password in `url`'),
      ]);
    expect(why({ url: 'redis://h/2', db: 3 })).toEqual([expect.stringContaining('redis.url: the database in `url`')]);
    expect(why({ url: 'redis://h/3', db: 3 })).toEqual([]);
  });

  it('options of ioredis that the library depends on are refused by name, and the others pass', () => {
    const options = { connectionName: 'shop', family: 6 };
    const { redis } = resolve({ redis: { host: 'h', username: 'app', options } });
    expect(redis).toEqual({ host: 'h', port: 6379, db: 0, username: 'app', options });
    const owned = { maxRetriesPerRequest: 3, retryStrategy: () => 5, keyPrefix: 'x', password: 'p', constructor: 1 };
    expect(pathsOf({ redis: { options: owned } })).toEqual(
      ['maxRetriesPerRequest', 'retryStrategy', 'keyPrefix', 'password'].map((name) => `redis.options.${name}`),
    );
    expect(why({ options: { keyPrefix: 'x' } })).toEqual([
      'redis.options.keyPrefix: leave it out (it has a field of its own: `keyPrefix`)',
    ]);
  });
});
