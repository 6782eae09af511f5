import { expect, it } from 'vitest';
import { type Ended, lastLine, runCommand } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';
import type { Violation } from './history.js';
import type { Summary } from './summary.js';

interface Found extends Summary {
  readonly violations: readonly Violation[];
}

const campaign = (...args: string[]): Promise<Ended> => runCommand('kill', 'test/kill/campaign', ...args);

describeRedis(
  'an app on Redis that is killed by kill -9 under load',
  () => {
    it('leaves every message with one verdict, and runs none twice', async () => {
      const ended = await campaign('--kills', '6', '--seed', '1', '--json');
      expect(ended.code, ended.stderr).toBe(0);
      const result = lastLine<Found>(ended);
      expect(result.violations).toEqual([]);
      expect(result.kills).toBe(6);
      // A campaign that met nothing would prove nothing.
      expect(result.messages).toBeGreaterThan(100);
      expect(result.messages).toBe(result.completed + result.failed + result.interrupted + result.withdrawn);
      expect(Math.min(result.killedRunning, result.interrupted, result.failed, result.unknown, result.resent)).toBeGreaterThan(0);
    });

    it('tells a wrong command line, with exit 2', async () => {
      const { code, stdout, stderr } = await campaign('--kills', 'many');
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/--kills many: must be a whole number from 1 to 100000/);
    });
  },
  { own: true },
);
