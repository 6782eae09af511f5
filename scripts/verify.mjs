// npm run verify: exactly what CI runs. Every check runs even if an earlier one failed, so that one run reports every failure.
// The tests come last, so their summary is the last line.
import { spawnSync } from 'node:child_process';
import { ROOT } from './compile.mjs';

/** Derives the first seed from the commit, so that each commit tries other seeds and a rerun tries the same. Outside git: 1. */
function firstSeed() {
  const git = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: ROOT, encoding: 'utf8' });
  return git.status === 0 ? Number.parseInt(git.stdout.slice(0, 7), 16) : 1;
}

const SEEDS = ['--from', String(firstSeed()), '--seeds', '1000', '--workers', '2'];

const CHECKS = [
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['typecheck', 'npm', ['run', '--silent', 'typecheck']],
  ['docs are generated', 'npm', ['run', '--silent', 'docs', '--', '--check']],
  ['build', 'npm', ['run', '--silent', 'build']],
  ['package', 'node', ['scripts/check-package.mjs']],
  [`simulator: npm run sim -- ${SEEDS.join(' ')}`, 'npm', ['run', '--silent', 'sim', '--', ...SEEDS]],
  [
    'three to five processes, two minutes of kills and stops',
    'npm',
    ['run', '--silent', 'campaign:cluster', '--', '--minutes', '2'],
  ],
  ['chaos: five scenarios on child processes', 'npm', ['run', '--silent', 'chaos:ci']],
  ['chaos: two scenarios in containers', 'npm', ['run', '--silent', 'chaos:ci', '--', '--driver', 'docker']],
  ['whole systems', 'npm', ['run', '--silent', 'test:systems']],
  ['the packed package in applications', 'npm', ['run', '--silent', 'test:pack']],
  ['Nest 11', 'npm', ['run', '--silent', 'test:nest11']],
  ['ioredis 6', 'npm', ['run', '--silent', 'test:ioredis6']],
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
