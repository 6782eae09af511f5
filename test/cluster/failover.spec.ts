import { expect, it } from 'vitest';
import { lastLine, runCommand } from '../support/command.js';
import { describeRedis } from '../support/redis-server.js';
import type { FailoverSummary } from './failover.js';

describeRedis(
  'failover with default timings',
  () => {
    it('is over within its bounds, and costs nobody else an error', async () => {
      const ended = await runCommand('kill', 'test/cluster/failover', '--kills', '1', '--json');
      expect(ended.code, ended.stderr).toBe(0);
      const { violations, otherCalls, master } = lastLine<FailoverSummary>(ended);
      expect(violations).toEqual([]);
      expect(otherCalls.errors).toBe(0);
      expect(otherCalls.count).toBeGreaterThan(50);
      // Before that the dead one's record has not even lapsed: the measurement would be wrong.
      expect(master.newMaster.medianMs).toBeGreaterThan(1000);
    });
  },
  { own: true },
);
