/**
 * Finds and installs the peers in `bench/peers/node_modules`. They are installed on demand from their own lock file, never by
 * `npm ci` of the library.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const PEER_NAMES = ['groupmq', 'bullmq'] as const;

/** The repository's root: this code runs from a build folder inside it. */
export const root = ((): string => {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'bench', 'peers', 'package-lock.json'))) return folder;
    if (folder === path.dirname(folder)) throw new Error('bench/peers/package-lock.json is missing: run this from a checkout');
  }
})();

const peersFolder = path.join(root, 'bench', 'peers');
const peersRequire = createRequire(path.join(peersFolder, 'package.json'));

export const loadPeer = (name: string): unknown => peersRequire(name);

export const versionOf = (folder: string, name: string): string | undefined => {
  const file = path.join(folder, 'node_modules', name, 'package.json');
  if (!existsSync(file)) return undefined;
  const { version }: { version?: string } = JSON.parse(readFileSync(file, 'utf8'));
  return version;
};

export const peerVersion = (name: string): string | undefined => versionOf(peersFolder, name);

/** Installs the peers unless the versions of their package.json are installed. */
export function installPeers(say: (line: string) => void): void {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(path.join(peersFolder, 'package.json'), 'utf8'),
  );
  if (Object.entries(dependencies).every(([name, version]) => peerVersion(name) === version)) return;
  say('installing the peers into bench/peers ...');
  const { status, stderr } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: peersFolder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm ci in bench/peers failed: ${stderr}`);
}
