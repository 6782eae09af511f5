/** `npm run sim` as a process of its own, compiled once. */
import { spawnSync } from 'node:child_process';
import { compile } from '../../scripts/compile.mjs';

export const COMPILE_TIMEOUT_MS = 120_000;

export function compileSim(): void {
  if (!compile('sim')) throw new Error('sim does not compile');
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function sim(...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['build/sim/sim/main.js', ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

/** The one JSON object that a command with --json prints. */
export function jsonOf({ stdout }: Ended): Record<string, unknown> {
  return JSON.parse(stdout) as Record<string, unknown>;
}
