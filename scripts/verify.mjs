// npm run verify: exactly what CI runs. Every check runs even when an earlier one failed, so that one round tells all;
// the tests come last, and so does their summary line.
import { spawnSync } from 'node:child_process';
import { ROOT } from './compile.mjs';

const CHECKS = [
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['typecheck', 'npm', ['run', '--silent', 'typecheck']],
  ['docs are generated', 'npm', ['run', '--silent', 'docs', '--', '--check']],
  ['build', 'npm', ['run', '--silent', 'build']],
  ['package', 'node', ['scripts/check-package.mjs']],
  ['simulator, 300 seeds', 'npm', ['run', '--silent', 'sim', '--', '--seeds', '300']],
  ['Nest 11', 'npm', ['run', '--silent', 'test:nest11']],
];

const run = (command, args) => spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;

const failures = [];
for (const [name, command, args] of CHECKS) {
  const startMs = Date.now();
  const held = run(command, args);
  process.stdout.write(`${held ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - startMs) / 1000).toFixed(1)} s)\n`);
  if (!held) failures.push(name);
}
if (failures.length > 0) process.stdout.write(`FAILED so far: ${failures.join(', ')}. The tests run all the same.\n`);
const tested = run(process.execPath, ['scripts/test.mjs']);
process.exitCode = tested && failures.length === 0 ? 0 : 1;
