import { beforeEach, expect, it } from 'vitest';
import { lastLine } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';
import { SuiteRedis, startCli, type Writer } from './support.js';

const SHUT = 'the store is shut: it lost acknowledged writes. What it holds may be from before that; ';

describeRedis('a store that was shut, from the command line', () => {
  const redis = new SuiteRedis();
  let writer: Writer;

  beforeEach(async () => {
    writer = await redis.freshWriter();
    await writer.fail(50);
    return () => writer.close();
  });

  const shut = () => writer.session.store.control({ op: 'closeStore', generation: writer.session.joined.generation });

  it('can be looked at, and says that it may be older than the loss', async () => {
    await shut();
    for (const command of [
      ['status'],
      ['introspect'],
      ['entity', 'show', 'account', 'a-1'],
      ['dlq', 'list'],
      ['dlq', 'show', '1'],
    ]) {
      const { code, stdout, stderr } = await redis.run(...command);
      expect(code, command.join(' ')).toBe(0);
      expect(stdout).not.toContain('closeStore');
      expect(stderr).toContain(`warning: ${SHUT}`);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
    expect(lastLine(await redis.run('status', '--json'))).toMatchObject({ shut: true });
    expect(lastLine(await redis.run('dlq', 'list', '--json'))).toMatchObject({ shut: true, total: 50 });
    const doctor = await redis.run('doctor');
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/^fail store +shut, since it lost acknowledged writes\n +no node starts, /m);
  });

  it('replays and deletes nothing, by force neither, until somebody has done what the line says', async () => {
    await shut();
    for (const command of [
      ['replay', '--id', '1'],
      ['replay', '--id', '1', '--dry-run'],
      ['replay', '--all', '--force'],
      ['purge', '--id', '1', '--yes'],
    ]) {
      const { code, stdout, stderr } = await redis.run('dlq', ...command);
      expect({ code, stdout }, command.join(' ')).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`error: nothing is replayed or deleted while ${SHUT}`);
    }
    expect(lastLine(await redis.run('dlq', 'list', '--open', '--json'))).toMatchObject({ total: 50, letters: { length: 50 } });
    const { stderr } = await redis.run('dlq', 'replay', '--id', '1');
    const [, key = ''] = /\(redis-cli HSET '(\S+)' generation reopened-1\)/.exec(stderr) ?? [];
    await redis.admin.hset(key, 'generation', 'reopened-1');
    expect(await redis.run('dlq', 'replay', '--id', '1')).toMatchObject({ code: 0, stderr: '' });
  });

  it('ends a run over many that was under way', async () => {
    const { ended } = startCli(['dlq', 'replay', '--all', '--rate', '20', ...redis.under('shop')]);
    const replayed = async () =>
      (await writer.session.store.control({ op: 'letters', after: '', max: 500, replayed: true })).letters.length;
    while ((await replayed()) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    await shut();
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`error: nothing is replayed or deleted while ${SHUT}`);
    expect(await replayed()).toBeLessThan(50);
  });
});
