/**
 * Builds images from files of this machine, for a machine that reaches no registry. An image has a program and the libraries that
 * it is linked with.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { UsageError } from './driver.js';

const REPOSITORY = 'atomic-queues-chaos';
const TOLD_MS_MAX = 20_000;

/** Returns the program or library, and the shared libraries that it is linked with. */
function closureOf(program: string): string[] {
  const { stdout, status } = spawnSync('ldd', [program], { encoding: 'utf8' });
  // The program is not linked with any library.
  if (status !== 0) return [program];
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x[0-9a-f]+\)/g)].map(([, path]) => path as string);
  return [program, ...new Set(libraries)];
}

export interface ImageSpec {
  readonly name: string;
  readonly program: string;
  /** Libraries that the program may preload. */
  readonly libraries?: readonly string[];
  /** Instructions of a Dockerfile. */
  readonly changes: readonly string[];
}

function stampOf(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${size.toString(36)}-${Math.round(mtimeMs).toString(36)}`;
}

/** Returns the name of the image. Uses an image again if it was made from the same files. */
export async function imageOf({ name, program, libraries = [], changes }: ImageSpec): Promise<string> {
  const roots = [program, ...libraries];
  const image = `${REPOSITORY}/${name}:${roots.map(stampOf).join('-')}`;
  if (spawnSync('docker', ['image', 'inspect', image], { stdio: 'ignore' }).status === 0) return image;
  const files = [...new Set(roots.flatMap(closureOf))].map((path) => path.slice(1));
  const tar = spawn('tar', ['-c', '-h', '-C', '/', ...files], { stdio: ['ignore', 'pipe', 'ignore'] });
  const load = spawn('docker', ['import', ...changes.flatMap((c) => ['-c', c]), '-', image], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  tar.stdout.pipe(load.stdin);
  const [code] = (await once(load, 'close')) as [number | null];
  if (code !== 0) throw new UsageError(`the image ${image} could not be made from ${program}`);
  return image;
}

/** Returns the output of a program in an image, such as its version. */
export function toldBy(image: string, args: readonly string[]): string {
  const name = `${REPOSITORY}-${process.pid}`;
  const { status, error, stdout, stderr } = spawnSync(
    'docker',
    ['run', '--rm', '--name', name, '--network', 'none', image, ...args],
    { encoding: 'utf8', timeout: TOLD_MS_MAX },
  );
  if (status === 0) return stdout;
  // A program that takes the arguments for something else goes on running.
  spawnSync('docker', ['rm', '-f', name], { stdio: 'ignore' });
  const why = error?.message ?? stderr.trim().split('\n')[0];
  throw new UsageError(`the image ${image} does not answer "${args.join(' ')}": ${why}`);
}
