/** Builds and packs the package once for all files of the set. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { NPM_FLAGS, run } from './apps.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the packed package, as `npm install` takes it. */
    tarball: string;
    /** The folder with what is in it. */
    unpacked: string;
  }
}

export default async function pack(project: TestProject): Promise<() => void> {
  const root = mkdtempSync(join(tmpdir(), 'aq-tarball-'));
  await run('.', process.execPath, ['scripts/build.mjs']);
  await run('.', 'npm', ['pack', '--ignore-scripts', '--pack-destination', root, ...NPM_FLAGS]);
  const tarball = join(root, readdirSync(root).find((name) => name.endsWith('.tgz')) ?? '');
  await run(root, 'tar', ['-xzf', tarball]);
  project.provide('tarball', tarball);
  project.provide('unpacked', join(root, 'package'));
  return () => rmSync(root, { recursive: true, force: true });
}
