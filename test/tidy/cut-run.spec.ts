import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = 'build/cut-run';

beforeAll(() => {
  mkdirSync(`${ROOT}/test`, { recursive: true });
  writeFileSync(
    `${ROOT}/test/a.spec.ts`,
    "import { it } from 'vitest';\nit('passes', () => {});\nit.skip('is skipped', () => {});\n",
  );
  writeFileSync(
    `${ROOT}/test/b.spec.ts`,
    "import { it } from 'vitest';\nit('never gives its loop back', () => { for (;;); });\n",
  );
});
afterAll(() => rmSync(ROOT, { recursive: true }));

it('a run of the tests that is cut reports what had passed, and what it was at', async () => {
  const env = { ...process.env, CI: 'true' };
  const run = spawn(process.execPath, ['scripts/test.mjs', '--root', ROOT], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  let isToEnd = false;
  run.stdout.setEncoding('utf8').on('data', (part: string) => {
    said += part;
    if (isToEnd || !said.includes('a.spec.ts')) return;
    isToEnd = true;
    // The reporter that prints may hear of the file's end before the one that keeps the journal.
    setTimeout(() => run.kill('SIGTERM'), 1000);
  });
  const [code] = await once(run, 'close');
  const last = said.trimEnd().split('\n').slice(-4);
  expect(last).toEqual([
    'SIGTERM: ending the tests.',
    'FAILED: the run was cut. What it had come to is counted below.',
    // On a busy machine its worker may still be on its way.
    expect.stringMatching(`^It (was running|had not begun): ${ROOT}/test/b.spec.ts$`),
    '1 passed, 1 failed, 1 skipped',
  ]);
  expect(code).toBe(1);
});
