// npm run test:nest11: runs the tests of the Nest face on Nest 11 and cqrs 11, installed beside the project under build/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './compile.mjs';

const DIR = join(ROOT, 'build/nest11');
const VERSIONS = { common: '^11', core: '^11', testing: '^11', cqrs: '^11', 'platform-express': '^11' };

const run = (command, args, cwd, env) =>
  spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'inherit' }).status ?? 1;

function install() {
  if (existsSync(join(DIR, 'node_modules/@nestjs/platform-express'))) return 0;
  mkdirSync(DIR, { recursive: true });
  const names = Object.entries(VERSIONS).map(([name, version]) => [`@nestjs/${name}`, version]);
  const dependencies = { ...Object.fromEntries(names), 'reflect-metadata': '0.2.2', rxjs: '7.8.2' };
  writeFileSync(
    join(DIR, 'package.json'),
    JSON.stringify({ private: true, dependencies, overrides: { 'file-type': '^21.3.4' } }),
  );
  return run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], DIR, {});
}

process.exitCode = install();
if (process.exitCode === 0) {
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    'test/nest',
    '--typecheck.enabled=false',
    '--exclude',
    '**/process.spec.ts',
  ];
  process.exitCode = run(process.execPath, args, ROOT, { AQ_NEST_MODULES: join(DIR, 'node_modules') });
}
