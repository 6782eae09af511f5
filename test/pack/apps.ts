/** What applications that install the packed package are made with. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';

export const INSTALL_TIMEOUT_MS = 150_000;
export const NPM_FLAGS: readonly string[] = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
export const NODE_TYPES = resolve('node_modules/@types');

/** The environment of a user's shell: without what npm, vitest and the tests of this package put into it. */
export const userEnv: Readonly<NodeJS.ProcessEnv> = Object.fromEntries(
  Object.entries(process.env).filter(
    ([key]) => !/^(npm_|VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$|MODE$|DEV$|PROD$|AQ_|REDIS_URL$)/.test(key),
  ),
);

const execute = promisify(execFile);

/** Runs a command in `cwd`; resolves with its standard output, rejects with everything that it said. */
export async function run(cwd: string, command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd, env: userEnv, timeout: INSTALL_TIMEOUT_MS });
    return stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
  }
}
