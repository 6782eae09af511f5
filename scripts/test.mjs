// npm test: finds a Redis and a Postgres for the suites that need one, runs vitest, and ends with the line "N passed, N failed, N skipped".
// Arguments go to vitest, for instance `npm test -- test/core`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compile, ROOT } from './compile.mjs';
import { findPostgresPrograms } from './postgres-binary.mjs';
import { findRedisBinary } from './redis-binary.mjs';

const LIMIT_MS = 15 * 60_000;
const REPORT = join(ROOT, 'build/test-results.json');

const say = (text) => process.stdout.write(`${text}\n`);

function canInstall() {
  return process.env.AQ_TEST_NO_INSTALL !== '1' && process.getuid?.() === 0 && existsSync('/etc/debian_version');
}

function install(name) {
  say(`No ${name} for the tests: installing it with apt-get (AQ_TEST_NO_INSTALL=1 turns this off).`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args) => spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  // Without recommends and without a service: only the binary is needed.
  const tried = () => apt('install', '-y', '-qq', '--no-install-recommends', name);
  if (!tried()) {
    apt('update', '-qq');
    if (!tried()) say(`apt-get could not install ${name}.`);
  }
}

/** Whether the suites that need Redis will run. */
function provideRedis() {
  if (findRedisBinary() === undefined && process.env.REDIS_URL === undefined && canInstall()) install('redis-server');
  const binary = findRedisBinary();
  if (binary !== undefined) say(`Redis for the tests: ${binary}`);
  else if (process.env.REDIS_URL !== undefined)
    say('Redis for the tests: REDIS_URL; suites that kill or restart their server will not run.');
  return binary !== undefined;
}

/** Whether the suites that need Postgres will run. */
function providePostgres() {
  if (findPostgresPrograms() === undefined && canInstall()) install('postgresql');
  const programs = findPostgresPrograms();
  if (programs !== undefined) say(`Postgres for the tests: ${programs}`);
  return programs !== undefined;
}

/** Compiles what tests run as child processes, so that two test files never compile at once. */
function compileChildren() {
  return ['kill', 'sim'].every((target) => compile(target));
}

function runVitest(args) {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], { cwd: ROOT, stdio: 'inherit' });
  const limit = setTimeout(() => {
    say(`The tests did not end within ${LIMIT_MS / 60_000} minutes: ending them.`);
    child.kill('SIGKILL');
  }, LIMIT_MS);
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(limit);
      resolve(code ?? 1);
    });
  });
}

/** Counts by vitest's report; a file that could not run is one failure. */
function count() {
  if (!existsSync(REPORT)) return { passed: 0, failed: 1, skipped: 0, notRun: [] };
  const report = JSON.parse(readFileSync(REPORT, 'utf8'));
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((t) => t.status !== 'failed'),
  );
  const titles = report.testResults.flatMap((file) => file.assertionResults.flatMap((t) => t.ancestorTitles));
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
    notRun: [...new Set(titles.filter((title) => title.startsWith('NOT RUN, ')))],
  };
}

const args = process.argv.slice(2);
const hasOwnRedis = provideRedis();
const hasPostgres = providePostgres();
mkdirSync(join(ROOT, 'build'), { recursive: true });
rmSync(REPORT, { force: true });
const compiled = compileChildren();
const exitCode = await runVitest(args);
const { passed, failed: failedTests, skipped, notRun } = count();
const failed = failedTests + (compiled ? 0 : 1);

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
