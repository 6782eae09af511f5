import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { describeRedis } from '../support/redis-server.js';
import type { Violation } from './history.js';
import type { Summary } from './summary.js';

const RUN = ['scripts/run.mjs', 'kill', 'test/kill/campaign'];

async function campaign(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [...RUN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, stdout, stderr };
}

describeRedis(
  'an app on Redis that is killed by kill -9 under load',
  () => {
    it('leaves every message with one verdict, and runs none twice', { timeout: 180_000 }, async () => {
      const { code, stdout, stderr } = await campaign('--kills', '6', '--seed', '1', '--json');
      expect(code, stderr).toBe(0);
      const result = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Summary & {
        kills: number;
        violations: Violation[];
        seconds: number;
      };
      expect(result.violations).toEqual([]);
      expect(result.kills).toBe(6);
      // A campaign that met nothing would prove nothing.
      expect(result.messages).toBeGreaterThan(100);
      expect(result.messages).toBe(result.completed + result.failed + result.interrupted + result.withdrawn);
      expect(Math.min(result.killedRunning, result.interrupted, result.failed, result.unknown, result.resent)).toBeGreaterThan(0);
    });

    it('tells a wrong command line, with exit 2', { timeout: 60_000 }, async () => {
      const { code, stdout, stderr } = await campaign('--kills', 'many');
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/--kills many: must be a whole number from 1 to 100000/);
    });
  },
  { own: true },
);
