import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { lastLine } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';
import { cli, joined, SuiteRedis } from './support.js';

describeRedis('generated files from the command line', () => {
  const redis = new SuiteRedis();
  let root = '';
  let out = '';

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'aq-generate-'));
    const { store } = await joined(redis.server.port, 'shop');
    return () => store.close();
  });
  beforeEach(() => {
    out = mkdtempSync(join(root, 'out-'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const generate = (...args: readonly string[]) => redis.run('generate', ...args);

  it('are written where they differ, into folders that it makes, and only those of the types that are named', async () => {
    const deep = join(out, 'a/b');
    expect(lastLine(await generate('--classes', '-o', deep, '--json'))).toEqual({
      ...{ directory: deep, files: ['account.ts', 'order.ts', 'index.ts'], written: 3 },
    });
    writeFileSync(join(deep, 'order.ts'), `${readFileSync(join(deep, 'order.ts'), 'utf8')}// changed\n`);
    expect((await generate('--classes', '-o', deep)).stdout).toMatch(/\n1 written, 2 the same\n$/);
    expect(lastLine(await generate('--json-schema', '-o', out, '--entities', ' order', '--json'))).toMatchObject({
      files: ['order.schema.json'],
    });
  });

  it('are none where nobody lives who handles anything', async () => {
    const { store } = await joined(redis.server.port, 'dead', { leaseTtlMs: 1 });
    await store.close();
    const target = redis.under('dead');
    expect(await cli('introspect', ...target)).toEqual({ code: 0, stdout: 'no live service handles anything\n', stderr: '' });
    expect(await cli('generate', '--ts', '-o', out, ...target)).toEqual({
      ...{ code: 1, stdout: '', stderr: 'error: no live service handles anything: start one, then generate\n' },
    });
  });

  it('come with a warning where two services publish different schemas, which names both and the one that counts', async () => {
    const shapes = [{ type: 'object', properties: {} }, { type: 'string' }];
    for (const [i, payload] of shapes.entries()) {
      const { store } = await joined(redis.server.port, 'torn', {
        ...{ serverId: `s-${i}`, group: `group-${i}` },
        contracts: [
          { type: 'account', maxAttempts: 1, onInterrupt: 'dead-letter', names: ['Deposit'], depthMax: 0, version: `v${i}` },
        ],
        schemas: [{ type: 'account', text: JSON.stringify({ Deposit: { payload } }) }],
      });
      await store.close();
    }
    const stderr =
      'warning: services "group-0" and "group-1" publish different schemas for account.Deposit; that of "group-1", which joined last, counts\n';
    const target = redis.under('torn');
    expect(await cli('introspect', ...target)).toEqual({
      ...{ code: 0, stdout: 'account (group-0, group-1)\n  Deposit string -> unknown\n', stderr },
    });
    expect(lastLine(await cli('introspect', '--json', ...target))).toMatchObject({
      conflicts: [{ type: 'account', name: 'Deposit', services: ['group-0', 'group-1'], wins: 'group-1' }],
    });
    expect(await cli('generate', '--ts', '-o', out, ...target)).toMatchObject({ code: 0, stderr });
  });

  it('are none beside a file that was not generated, unless by force', async () => {
    writeFileSync(join(out, 'order.ts'), 'mine');
    expect(await generate('--classes', '-o', out)).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: `error: not generated, so kept: ${join(out, 'order.ts')}; nothing was written; --force writes over them\n`,
    });
    expect(readdirSync(out)).toEqual(['order.ts']);
    expect(readFileSync(join(out, 'order.ts'), 'utf8')).toBe('mine');
    expect(await generate('--classes', '-o', out, '--force')).toMatchObject({ code: 0 });
    expect(readFileSync(join(out, 'order.ts'), 'utf8')).toContain('class Deposit');
  });

  it('are a clear line where they cannot be written', async () => {
    writeFileSync(join(out, 'file'), '');
    const places = [
      join(out, 'file'),
      join(out, 'file/below'),
      ...(existsSync('/proc/self') ? ['/proc/nowhere', '/proc/a/b'] : []),
    ];
    for (const place of places) {
      const { code, stdout, stderr } = await generate('--ts', '-o', place);
      expect({ code, stdout }, place).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^error: cannot write into .*\n$/);
      expect(stderr).toContain(place);
    }
  });

  it('are refused where it is not said what, of which types, or where to', async () => {
    for (const command of [
      ['--ts'],
      ['-o', out],
      ['--ts', '--classes', '-o', out],
      ['--ts', '-o', ''],
      ['--ts', '-o', out, '--entities', ''],
      ['--ts', '-o', out, '--entities', 'a b'],
    ]) {
      const { code, stdout, stderr } = await generate(...command);
      expect({ code, stdout }, command.join(' ')).toEqual({ code: 2, stdout: '' });
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
    expect(await generate('--ts', '-o', out, '--entities', 'account,oder')).toMatchObject({
      ...{ code: 1, stderr: 'error: no live service handles entity type "oder"; did you mean "order"?\n' },
    });
    expect(readdirSync(out)).toEqual([]);
  });
});
