import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { append, message } from '../redis/support.js';
import { lastLine } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';
import { cli, joined, SuiteRedis, startCli, Writer } from './support.js';

describeRedis(
  'a look into the log from the command line',
  () => {
    const redis = new SuiteRedis();
    let writer: Writer;

    beforeAll(async () => {
      writer = await redis.freshWriter();
      await writer.fail(1);
      await writer.pile(3);
      const { session } = writer;
      await (await Writer.of(session, 'order:o:{1}')).pile(0);
      await session.store.control({ op: 'lead', ...session.identity });
    });
    afterAll(() => writer.close());

    it('tells the nodes with their roles, what waits by type, and what blocks', async () => {
      const told = lastLine<{ nodes: object[] }>(await redis.run('status', '--json'));
      expect(told).toEqual({
        nodes: [
          {
            ...{ serverId: 'node-1', serviceGroup: 'bank', incarnation: 1, role: 'master', epoch: 1, owns: 2 },
            ...{ leaseLeftMs: expect.any(Number), types: ['account', 'order'], address: 'host:1' },
          },
        ],
        types: [
          { type: 'account', entities: 1, running: 1, pending: 3 },
          { type: 'order', entities: 1, running: 1, pending: 0 },
        ],
        totals: { messages: 5, entities: 2, deadLetters: 1 },
        ...{ blocked: [], blockedIsAll: true, shut: false },
      });
      const { stdout } = await redis.run('status');
      expect(stdout).toMatch(/^node-1 +bank +1 +master +1 +\S+ \w+ +2 +account, order$/m);
      expect(stdout).toContain('\nwaiting or running: 5 messages; 1 dead letter\n');
    });

    /** As if all that is under the prefix had been logged, and could have begun, a minute earlier. */
    const aMinuteLater = async (prefix: string): Promise<void> => {
      for (const [field, record] of Object.entries(await redis.admin.hgetall(`${prefix}:{0}:msg`))) {
        const parts = record.split('\x1f');
        parts[11] = String(Number(parts[11]) - 60_000);
        await redis.admin.hset(`${prefix}:{0}:msg`, field, parts.join('\x1f'));
      }
      const ready = await redis.admin.zrange(`${prefix}:{0}:ready`, 0, -1);
      for (const entity of ready) await redis.admin.zincrby(`${prefix}:{0}:ready`, -60_000, entity);
    };

    it('names what has been running for long, what nobody begins, and who died', async () => {
      const old = await joined(redis.server.port, 'old', { leaseTtlMs: 1 });
      await (await Writer.of(old, 'account:a-1')).pile(2);
      // Nobody owns it.
      const stuck = "account:b'2";
      for (const id of ['x', 'y']) await old.apply(append(id, { entity: stuck, message: message(id, {}) }));
      await aMinuteLater('old');
      await old.apply(append('z', { entity: 'account:fresh', message: message('z', {}) }));
      const told = lastLine<{ blocked: object[] }>(await cli('status', '--json', ...redis.under('old')));
      const row = { entityType: 'account', name: 'Deposit', loggedMsAgo: expect.any(Number) };
      expect(told).toMatchObject({ nodes: [{ role: 'lapsed', epoch: null }], blockedIsAll: true });
      expect([...told.blocked].sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))).toEqual([
        { ...row, entityId: 'a-1', state: 'running', messageId: 'm1', pending: 2, owner: 'node-1' },
        { ...row, entityId: "b'2", state: 'waiting', messageId: 'x', pending: 1, owner: 'nobody' },
      ]);
      await old.store.control({ op: 'evict', ...old.identity, heartbeatSeen: 0 });
      const { stdout } = await cli('status', ...redis.under('old'));
      expect(stdout).toMatch(/^node-1 +bank +1 +dead +over for /m);
      expect(stdout).toContain(
        '\nmay be blocked: what runs was logged more than 30 s ago, what waits could have begun since then\n',
      );
      expect(stdout).toMatch(/^account:a-1 +running +Deposit +6\d\.\d s ago +2 +node-1 \(dead\)$/m);
      expect(stdout).toMatch(/^account:b'2 +waiting +Deposit +6\d\.\d s ago +1 +nobody$/m);
      await old.store.close();
    });

    it('says that it did not look at all that may be blocked', async () => {
      const many = await joined(redis.server.port, 'many');
      const entities = Array.from({ length: 201 }, (_, i) => `account:${i}`);
      for (const entity of entities) await (await Writer.of(many, entity)).pile(0);
      const { stdout } = await cli('status', ...redis.under('many'));
      expect(stdout).toMatch(/\nonly 200 of those that run, and as many of those that wait, were looked at\n$/);
      expect(lastLine(await cli('status', '--json', ...redis.under('many')))).toMatchObject({
        ...{ blocked: [], blockedIsAll: false },
      });
      await many.store.close();
    });

    it('shows one entity: its owner, what runs, what waits, and its past', async () => {
      const told = lastLine(await redis.run('entity', 'show', 'account', 'a-1', '--json'));
      const message = { name: 'Deposit', attempt: 1, enqueuedAtMs: expect.any(Number), replayOf: null };
      expect(told).toEqual({
        ...{ entityType: 'account', entityId: 'a-1', owner: 'node-1', incarnation: 1, fence: 1, heldUntilMs: null },
        running: { ...message, messageId: 'm2', sequence: 2 },
        pendingCount: 3,
        pending: [3, 4, 5].map((sequence) => ({ ...message, messageId: `m${sequence}`, sequence })),
        history: {
          ended: [],
          endedCount: 0,
          deadLetters: [{ id: '1', messageId: 'm1', sequence: 1, name: 'Deposit', reason: 'failed', replayedAs: null }],
          deadLettersNext: null,
        },
      });
      expect((await redis.run('entity', 'show', 'order', 'o:{1}')).stdout).toMatch(/^running {2}#1 Deposit m1 /m);
      const unknown = await redis.run('entity', 'show', 'account', 'nobody');
      expect(unknown).toMatchObject({ code: 1, stdout: '' });
      expect(unknown.stderr).toMatch(/^error: the log knows nothing of account "nobody": /);
      expect(await redis.run('entity', 'show', 'a:b', 'x')).toMatchObject({ code: 2 });
    });

    it('shows the newest of what is kept of an entity, and says that there is more', async () => {
      const long = await Writer.of(writer.session, 'account:long');
      await long.complete(30);
      const { history } = lastLine<{ history: { ended: { sequence: number }[]; endedCount: number } }>(
        await redis.run('entity', 'show', 'account', 'long', '--json'),
      );
      expect(history.endedCount).toBe(30);
      expect(history.ended.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, i) => 11 + i));
      const { stdout } = await redis.run('entity', 'show', 'account', 'long');
      expect(stdout.match(/^ended .*$/gm)).toHaveLength(21);
      expect(stdout).toMatch(/^ended {4}10 earlier ones are not shown\nended {4}#11 m11 completed$/m);
    });

    it('shows the first of many dead letters and of much that waits, and how to see the others', async () => {
      const torn = await Writer.open(redis.server.port, 'torn', "account:it's");
      await torn.fail(20);
      const show = async (...args: readonly string[]) =>
        cli('entity', 'show', 'account', "it's", ...args, ...redis.under('torn'));
      const historyOf = async () =>
        lastLine<{ history: { deadLetters: object[]; deadLettersNext: string | null } }>(await show('--json')).history;
      expect(await historyOf()).toMatchObject({ deadLetters: { length: 20 }, deadLettersNext: null });
      await torn.fail(1);
      await torn.pile(25);
      expect(await historyOf()).toMatchObject({ deadLetters: { length: 20 }, deadLettersNext: '20' });
      const { stdout } = await show();
      expect(stdout).toMatch(
        /^letter {3}20: #20 Deposit failed\n {9}… and more: dlq list --type account --entity 'it'\\''s' --after 20\n$/m,
      );
      expect(stdout).toMatch(/^ {9}#42 Deposit m42 \(attempt 1, logged \S+ \w+ ago\)\n {9}… and 5 more$/m);
      await torn.close();
    });

    it('changes nothing, and makes no member', async () => {
      const dump = async () => {
        const keys = (await redis.admin.keys('shop:*')).sort();
        return Promise.all(keys.map(async (key) => [key, await redis.admin.dump(key)]));
      };
      const before = await dump();
      for (const command of [
        ['status'],
        ['entity', 'show', 'account', 'a-1'],
        ['dlq', 'list'],
        ['dlq', 'show', '1'],
        ['doctor'],
      ]) {
        expect(await redis.run(...command), command.join(' ')).toMatchObject({ code: 0 });
      }
      expect(await redis.run('dlq', 'replay', '--all', '--dry-run')).toMatchObject({ code: 0 });
      expect(await dump()).toEqual(before);
    });

    it('finds Redis and prefix in the environment, options first', async () => {
      const by = (env: NodeJS.ProcessEnv, ...args: string[]) => startCli(['dlq', 'list', ...args], env).ended;
      expect(await by({ AQ_REDIS_URL: redis.server.url, REDIS_URL: 'redis://127.0.0.1:1', AQ_PREFIX: 'shop' })).toMatchObject({
        code: 0,
      });
      expect(await by({ REDIS_URL: redis.server.url, AQ_PREFIX: 'x' }, '--prefix', 'shop')).toMatchObject({ code: 0 });
      expect(await by({ REDIS_URL: 'http://x' })).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^error: REDIS_URL is no URL of a Redis/),
      });
      // As if a variable were not set: what comes next is somebody else's.
      for (const given of [['--redis', ''], ['--redis=']])
        expect(await by({ REDIS_URL: redis.server.url, AQ_PREFIX: 'shop' }, ...given)).toMatchObject({
          ...{ code: 2, stderr: expect.stringMatching(/^error: --redis is empty/) },
        });
      expect(await by({ AQ_REDIS_URL: '', REDIS_URL: redis.server.url, AQ_PREFIX: 'shop' })).toMatchObject({ code: 0 });
    });

    it('takes no other database for the one that is named', async () => {
      for (const command of [['status'], ['doctor'], ['dlq', 'list']]) {
        const { code, stdout, stderr } = await cli(...command, '--redis', `${redis.server.url}/99`, '--prefix', 'shop');
        expect({ code, stdout }, command.join(' ')).toEqual({ code: 1, stdout: '' });
        expect(stderr).toMatch(/^error: cannot use Redis at 127\.0\.0\.1:\d+: ERR DB index is out of range\n$/);
      }
      for (const path of ['/abc', '/1x', '/1/2', '/-1', '/?db=abc', '?db=']) {
        const { code, stderr } = await cli('status', '--redis', redis.server.url + path, '--prefix', 'shop');
        expect({ code, stderr }, path).toEqual({ code: 2, stderr: expect.stringMatching(/^error: --redis .*\n$/) });
      }
      const raw = await cli('status', '--redis', 'redis://:pa#ss@127.0.0.1:1');
      expect(raw).toMatchObject({ code: 2, stderr: expect.stringContaining('write it as %23') });
      for (const path of ['', '/', '/0', '?db=0'])
        expect(await cli('status', '--redis', redis.server.url + path, '--prefix', 'shop'), path).toMatchObject({ code: 0 });
    });

    it('says which prefixes there are where the given one is none', async () => {
      const { code, stderr } = await cli('status', ...redis.under('shpo'));
      expect(code).toBe(1);
      expect(stderr).toBe('error: nothing is under prefix "shpo"; prefixes that are there: "many", "old", "shop", "torn"\n');
    });

    it('says what is in the way, in one line', async () => {
      await redis.admin.set('foreign:{0}:meta', 'x');
      const foreign = await cli('status', ...redis.under('foreign'));
      expect(foreign).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: foreign:\{0\}:meta is none of our keys: WRONGTYPE/),
      });
      await redis.admin.hset('newer:{0}:meta', { generation: 'g', schema: '9' });
      const newer = await cli('status', ...redis.under('newer'));
      expect(newer).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^error: prefix "newer" holds records of schema version 9, /),
      });
      await redis.admin.del('foreign:{0}:meta', 'newer:{0}:meta');
      for (const command of [['status'], ['doctor'], ['dlq', 'list']]) {
        const none = await cli(...command, '--redis', 'redis://:secret@127.0.0.1:1');
        expect(none).toEqual({
          code: 1,
          stdout: '',
          stderr: 'error: cannot use Redis at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n',
        });
      }
    });

    it('ends at SIGINT while Redis does not answer', async () => {
      const mute = createServer((socket) => void socket.resume()).listen(0, '127.0.0.1');
      await once(mute, 'listening');
      const { port } = mute.address() as AddressInfo;
      for (const command of [['status'], ['dlq', 'replay', '--all']]) {
        const { child, ended } = startCli([...command, '--redis', `redis://127.0.0.1:${port}`]);
        const [socket] = (await once(mute, 'connection')) as [Socket];
        child.kill('SIGINT');
        expect(await ended, command.join(' ')).toEqual({ code: 1, stdout: '', stderr: 'interrupted\n' });
        socket.destroy();
      }
      mute.close();
    });

    describe('doctor', () => {
      it('finds what endangers the log, and fails for what no node can start with', async () => {
        const well = await redis.run('doctor', '--json');
        expect(well.code).toBe(0);
        const { findings } = lastLine<{ findings: { check: string; level: string; found: string }[] }>(well);
        expect(findings.filter(({ level }) => level !== 'ok').map(({ check }) => check)).toEqual(['memory']);
        expect(findings.find(({ check }) => check === 'keys')?.found).toMatch(/^\d+ keys, each of the type it must have$/);
        await redis.admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
        await redis.admin.set('ill:{0}:meta', 'x');
        const ill = await cli('doctor', ...redis.under('ill'));
        await redis.admin.config('SET', 'maxmemory-policy', 'noeviction');
        await redis.admin.del('ill:{0}:meta');
        expect(ill).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: 2 of \d+ checks failed$/m) });
        expect(ill.stdout).toMatch(/^fail eviction +allkeys-lru\n +logged messages may vanish/m);
        expect(ill.stdout).toMatch(/^fail keys +ill:\{0\}:meta \(string\)$/m);
      });

      it('fails for no key that a node would start beside', async () => {
        await redis.admin.mset({ 'shop:cache': 'x', 'shop:{0}:mine': 'x', 'shop:{1}:meta': 'x' });
        const { code, stdout } = await redis.run('doctor');
        await redis.admin.del('shop:cache', 'shop:{0}:mine', 'shop:{1}:meta');
        expect(stdout).toMatch(/^ok {3}keys /m);
        expect(code).toBe(0);
      });

      it('says in a line what its user may not do, or that Redis is gone', async () => {
        const as = async (rules: readonly string[], prefix: string, ...command: readonly string[]) => {
          await redis.admin.call('ACL', 'SETUSER', 'small', 'reset', 'on', '>pw', '~*', '&*', '+@all', ...rules);
          return cli(...command, '--redis', redis.server.url.replace('//', '//small:pw@'), '--prefix', prefix);
        };
        for (const name of ['time', 'type', 'info']) {
          const { code, stdout, stderr } = await as([`-${name}`], 'shop', 'doctor');
          expect({ code, stdout }, name).toEqual({ code: 1, stdout: '' });
          expect(stderr).toMatch(new RegExp(`^error: the Redis user lacks a permission: .*'${name}'`, 'm'));
          expect(stderr).not.toMatch(/^ +at /m);
        }
        const unseen = await as(['-scan'], 'shpo', 'status');
        expect(unseen).toMatchObject({ code: 1, stdout: '' });
        expect(unseen.stderr).toMatch(
          /^error: nothing is under prefix "shpo"; other prefixes could not be looked for: .*'scan'.*\n$/,
        );
        const unread = await as(['-hmget'], 'shop', 'status');
        expect(unread).toMatchObject({ code: 1, stdout: '' });
        expect(unread.stderr).toMatch(/^error: the Redis user lacks a permission: .*'hmget'.*\n$/);
        await redis.admin.call('ACL', 'DELUSER', 'small');
        // Answers while a client connects, and then no more.
        const replies = ['$19\r\nredis_version:7.0.0\r\n', '+PONG\r\n'];
        const mute = createServer((socket) => {
          const left = [...replies];
          socket.on('data', () => (left.length > 0 ? socket.write(left.shift() ?? '') : socket.destroy()));
        }).listen(0, '127.0.0.1');
        await once(mute, 'listening');
        const gone = await cli('doctor', '--redis', `redis://127.0.0.1:${(mute.address() as AddressInfo).port}`);
        mute.close();
        expect(gone).toMatchObject({
          code: 1,
          stdout: '',
          stderr: expect.stringMatching(/^error: the call to Redis got no answer: .*\n$/),
        });
      });
    });
  },
  { own: true },
);
