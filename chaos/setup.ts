/** Finds the programs that the drivers need, and installs those that can be installed. Reports each missing one in one line. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath, findRedisServer, isProgram } from '../demo/machine.js';
import { UsageError } from './driver.js';
import type { LocalTools } from './local.js';
import { nodeProgram } from './program.js';

const TOXIPROXY_VERSION = 'v2.12.0';
const TOXIPROXY_MODULE = `github.com/Shopify/toxiproxy/v2/cmd/server@${TOXIPROXY_VERSION}`;
const TOXIPROXY_DIR = 'build/chaos-tools';
const GO_MIN = 1.23;
const GO_INSTALLED = '/usr/local/go/bin/go';
/** Limit in ms of one command that installs or builds, even if the machine has other work. */
const INSTALL_MS_MAX = 4 * 60_000;
const FAKETIME_PATHS = ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketimeMT.so.1`);
/** Returns the path of libfaketime; undefined if it is not installed. */
export const findFaketime = (): string | undefined => FAKETIME_PATHS.find((path) => existsSync(path));

export type Say = (line: string) => void;

/** Programs that the caller names. */
export interface ServerOptions {
  readonly toxiproxy: string | undefined;
  readonly redisServer: string | undefined;
}

const hasApt = (): boolean => process.getuid?.() === 0 && findOnPath('apt-get') !== undefined;

/** Installs a package on Debian or Ubuntu. Returns whether that succeeded. */
export function aptInstall(name: string, say: Say): boolean {
  if (!hasApt()) return false;
  say(`installing ${name} with apt-get`);
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: 'ignore',
    timeout: INSTALL_MS_MAX,
  } as const;
  // Wait for the lock: another process may be installing something.
  const run = (...args: readonly string[]): boolean =>
    spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], options).status === 0;
  return (
    run('install', '-y', '--no-install-recommends', name) ||
    (run('update') && run('install', '-y', '--no-install-recommends', name))
  );
}

export const faketimeOf = (say: Say): string | undefined =>
  findFaketime() ?? (aptInstall('libfaketime', say) ? findFaketime() : undefined);

export function redisServerOf(given: string | undefined, say: Say): string {
  if (given !== undefined) {
    if (!isProgram(given)) throw new UsageError(`--redis-server ${given}: there is no such program`);
    return given;
  }
  const path = findRedisServer() ?? (aptInstall('redis-server', say) ? findRedisServer() : undefined);
  if (path === undefined)
    throw new UsageError('no redis-server or valkey-server on PATH: install one, or name it with --redis-server FILE');
  return path;
}

/** Returns the path of Go. Go's own installer uses a folder that is not on every PATH. */
const findGo = (): string | undefined => findOnPath('go') ?? (isProgram(GO_INSTALLED) ? GO_INSTALLED : undefined);

/** Returns the path of Go; undefined if Go is missing or too old for the module. */
function goOf(): string | undefined {
  const go = findGo();
  if (go === undefined) return undefined;
  const version = /go(\d+\.\d+)/.exec(execFileSync(go, ['version'], { encoding: 'utf8' }))?.[1] ?? '0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 1 || minor >= (GO_MIN - 1) * 100 ? go : undefined;
}

export function toxiproxyOf(given: string | undefined, say: Say): string {
  if (given !== undefined) {
    if (!isProgram(given)) throw new UsageError(`--toxiproxy ${given}: there is no such program`);
    return given;
  }
  const found = findOnPath('toxiproxy-server');
  if (found !== undefined) return found;
  const built = join(process.cwd(), TOXIPROXY_DIR, 'server');
  if (existsSync(built)) return built;
  const go = goOf();
  if (go === undefined)
    throw new UsageError(`no toxiproxy-server on PATH, and no Go >= ${GO_MIN} to build it: name one with --toxiproxy FILE`);
  say(`building Toxiproxy ${TOXIPROXY_VERSION} with Go, which takes about a minute`);
  mkdirSync(join(process.cwd(), TOXIPROXY_DIR), { recursive: true });
  const env = { ...process.env, CGO_ENABLED: '0', GOBIN: join(process.cwd(), TOXIPROXY_DIR) };
  const { status, error, stderr } = spawnSync(go, ['install', TOXIPROXY_MODULE], {
    env,
    encoding: 'utf8',
    timeout: INSTALL_MS_MAX,
  });
  if (status !== 0) {
    const why = error?.message ?? stderr.trim().split('\n').at(-1);
    throw new UsageError(`Toxiproxy could not be built: ${why}; name one with --toxiproxy FILE`);
  }
  return built;
}

/** Returns the version of a Toxiproxy server. A server that was built from its module reports "git"; Go knows its version. */
export function toxiproxyVersionOf(path: string): string {
  const own = spawnSync(path, ['--version'], { encoding: 'utf8' });
  const told = /(\d+\.\d+\.\d+)/.exec(`${own.stdout}${own.stderr}`)?.[1];
  const go = told === undefined ? findGo() : undefined;
  if (told !== undefined || go === undefined) return told ?? 'unknown';
  const built = spawnSync(go, ['version', '-m', path], { encoding: 'utf8' }).stdout;
  return /\tmod\tgithub\.com\/Shopify\/toxiproxy\S*\tv(\S+)/.exec(built)?.[1] ?? 'unknown';
}

export function localTools(given: ServerOptions, say: Say): LocalTools {
  if (process.platform !== 'linux')
    throw new UsageError('the local driver needs Linux, where every address of 127/8 is this machine; use --driver docker');
  // A wrong name is reported before anything is installed or built.
  if (given.redisServer !== undefined) redisServerOf(given.redisServer, say);
  const toxiproxy = toxiproxyOf(given.toxiproxy, say);
  return {
    redisServer: redisServerOf(given.redisServer, say),
    toxiproxy,
    toxiproxyVersion: toxiproxyVersionOf(toxiproxy),
    nodeFile: nodeProgram(say),
  };
}
