// npm run test:nest11, npm run test:ioredis6: run tests on another major version of a peer, installed beside the project under
// build/. Child processes and threads of those tests still load the installed version.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './compile.mjs';

const RUNS = {
  nest11: {
    dependencies: {
      ...{ '@nestjs/common': '^11', '@nestjs/core': '^11', '@nestjs/testing': '^11', '@nestjs/cqrs': '^11' },
      '@nestjs/platform-express': '^11',
      ...{ 'reflect-metadata': '0.2.2', rxjs: '7.8.2' },
    },
    names: '@nestjs/(?:common|core|cqrs|platform-express|testing)|rxjs|reflect-metadata',
    tests: ['test/nest', '--exclude', '**/process.spec.ts'],
  },
  ioredis6: {
    dependencies: { ioredis: '^6' },
    names: 'ioredis$',
    tests: ['test/redis', 'test/contract', 'test/field', 'test/nest/redis.spec.ts'],
  },
};

const run = (command, args, cwd, env) =>
  spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' }).status ?? 1;

function install(dir, dependencies) {
  if (Object.keys(dependencies).every((name) => existsSync(join(dir, 'node_modules', name)))) return 0;
  mkdirSync(dir, { recursive: true });
  const manifest = { private: true, dependencies, overrides: { 'file-type': '^21.3.4' } };
  writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest));
  return run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], dir, {});
}

const name = process.argv[2] ?? '';
if (!Object.hasOwn(RUNS, name)) throw new Error(`which peers? One of ${Object.keys(RUNS).join(' ')}`);
const { dependencies, names, tests } = RUNS[name];
const dir = join(ROOT, 'build', name);
process.exitCode = install(dir, dependencies);
if (process.exitCode === 0) {
  const args = ['node_modules/vitest/vitest.mjs', 'run', '--typecheck.enabled=false', ...tests];
  process.exitCode = run(process.execPath, args, ROOT, { AQ_PEER_MODULES: join(dir, 'node_modules'), AQ_PEER_NAMES: names });
}
