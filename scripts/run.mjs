// node [node options] scripts/run.mjs <target> <entry> [arguments]: compiles tsconfig.<target>.json (quiet, incremental),
// then runs the compiled entry with the same node options, and exits with its exit code.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { compile, ROOT } from './compile.mjs';

const [target, entry, ...args] = process.argv.slice(2);
if (!compile(target)) process.exit(1);

const main = join(ROOT, 'build', target, `${entry}.js`);
const child = spawn(process.execPath, [...process.execArgv, '--enable-source-maps', main, ...args], { stdio: 'inherit' });
// The terminal sends SIGINT to the child too. This process only has to outlive the child and pass on the exit code.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
