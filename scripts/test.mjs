// npm test: finds a Redis and a Postgres for the suites that need one, runs vitest, and prints "N passed, N failed, N skipped" as
// its last line. Arguments go to vitest, for instance `npm test -- test/core`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, ROOT } from './compile.mjs';
import { findPostgresPrograms } from './postgres-binary.mjs';
import { findRedisBinary } from './redis-binary.mjs';
import { summaryOf } from './test-summary.mjs';

// Far more than the tests take on two cores, so that they also end in time on a machine with other work.
const LIMIT_MS = 15 * 60_000;
const JOURNAL = join(ROOT, `build/test-journal-${process.pid}.ndjson`);

const say = (text) => process.stdout.write(`${text}\n`);

function canInstall() {
  return process.env.AQ_TEST_NO_INSTALL !== '1' && process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

function install(name) {
  say(`No ${name} for the tests: installing it with apt-get (AQ_TEST_NO_INSTALL=1 turns this off).`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  // No recommended packages and no service: only the binary is needed.
  const tried = () => apt('install', '-y', '-qq', '--no-install-recommends', name);
  if (!tried()) {
    apt('update', '-qq');
    if (!tried()) say(`apt-get could not install ${name}.`);
  }
}

/** Returns whether a Redis binary is on PATH. Installs redis-server, if allowed, when there is neither a binary nor REDIS_URL. */
function provideRedis() {
  if (findRedisBinary() === undefined && process.env.REDIS_URL === undefined && canInstall()) install('redis-server');
  const binary = findRedisBinary();
  if (binary !== undefined) say(`Redis for the tests: ${binary}`);
  else if (process.env.REDIS_URL !== undefined)
    say('Redis for the tests: REDIS_URL; suites that kill or restart their server will not run.');
  return binary !== undefined;
}

/** Returns whether the Postgres programs were found. Installs postgresql, if allowed, when they are missing. */
function providePostgres() {
  if (findPostgresPrograms() === undefined && canInstall()) install('postgresql');
  const programs = findPostgresPrograms();
  if (programs !== undefined) say(`Postgres for the tests: ${programs}`);
  return programs !== undefined;
}

/** Compile targets of the child processes that tests start, by test set. Compiled once here and not by each test file. */
const CHILDREN = { tests: ['sim', 'cli', 'chaos'], systems: ['sim', 'cli', 'kill', 'demo'] };

function compileChildren() {
  const targets = CHILDREN[process.env.AQ_TEST ?? 'tests'] ?? [];
  const compiled = targets.every((target) => compile(target));
  if (compiled) process.env.AQ_COMPILED = targets.join(',');
  return compiled;
}

/** Runs vitest in a separate process group, so that an abort can kill all of its processes. */
function runVitest(args) {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', `--reporter=${join(ROOT, 'scripts/test-reporter.mjs')}`];
  const env = { ...process.env, AQ_TEST_JOURNAL: JOURNAL };
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env,
    detached: true,
  });
  const cut = (why) => {
    say(`${why}: ending the tests.`);
    signal(child, 'SIGKILL');
  };
  const limit = setTimeout(() => cut(`The tests did not end within ${LIMIT_MS / 60_000} minutes`), LIMIT_MS);
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => cut(name));
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(limit);
      signal(child, 'SIGKILL');
      resolve(code ?? 1);
    });
  });
}

function signal({ pid }, name) {
  try {
    process.kill(-pid, name);
  } catch {
    // The whole group has ended already.
  }
}

const args = process.argv.slice(2);
const hasOwnRedis = provideRedis();
const hasPostgres = providePostgres();
mkdirSync(join(ROOT, 'build'), { recursive: true });
const compiled = compileChildren();
writeFileSync(JOURNAL, '');
const exitCode = await runVitest(args);
const { isOver, passed, failed: failedTests, skipped, failures, cut, waiting, notRun } = summaryOf(readFileSync(JOURNAL, 'utf8'));
rmSync(JOURNAL);
const failed = failedTests + (compiled ? 0 : 1);

if (!isOver) say('FAILED: the run was cut. What it had come to is counted below.');
if (!isOver) for (const failure of failures) say(`× ${failure}`);
if (cut.length > 0) say(`It was running: ${cut.join(', ')}`);
if (waiting.length > 0) say(`It had not begun: ${waiting.join(', ')}`);
if (!compiled) say('FAILED: what tests run as processes does not compile (see above).');
for (const title of notRun) say(`!!! ${title}`);
if (!hasOwnRedis) {
  say('!!! No redis-server or valkey-server on PATH: the suites named above were NOT RUN. Install one, then run npm test again.');
}
if (!hasPostgres)
  say('!!! No initdb and postgres on PATH: the suites named above were NOT RUN. Install postgresql, then run npm test again.');
const incomplete = notRun.length > 0 && process.env.CI === 'true';
if (incomplete) say('!!! CI=true: suites that were not run count as a failure.');
say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = exitCode !== 0 || failed > 0 || incomplete ? 1 : 0;
