/** Faults of Redis itself. */
import type { Admin } from '../admin.js';
import type { World } from '../driver.js';
import type { Heal } from '../links.js';
import { COPIED, leavesUnknown, rejects, type Scenario, saw } from './scenario.js';

const NOSCRIPT = 'a script was called that Redis had forgotten';
const FLUSHES = 10;

const restart = (name: string, signal: 'SIGTERM' | 'SIGKILL', ci: boolean): Scenario => ({
  name,
  shows: 'a store that restarts on its append-only file has kept everything, and nobody takes it for another',
  faults: [`Redis is ended with ${signal} and starts again 1.5 s later on its append-only file`],
  twin: 'storeDown',
  ci,
  must: [rejects],
  async play(stage) {
    await stage.restartRedis(signal, 1500);
    await stage.sleep(1000);
  },
});

/** Returns a scenario in which Redis replies but refuses writes with an error. */
const refusing = (name: string, code: string, forMs: number, begin: (admin: Admin, world: World) => Promise<Heal>): Scenario => ({
  name,
  shows: 'what is refused for certain is told as rejected; what runs ends, and all goes on afterwards',
  faults: [`${code} for ${forMs / 1000} s`],
  twin: code === 'OOM' ? 'refuseOom' : 'refuseReadonly',
  must: [rejects],
  async play(stage) {
    const end = await stage.redis(code, begin);
    await stage.sleep(forMs);
    await end();
  },
});

export const REDIS_SCENARIOS: readonly Scenario[] = [
  restart('redis-restart', 'SIGTERM', true),
  restart('redis-kill', 'SIGKILL', false),
  {
    name: 'redis-sigstop',
    shows: 'a store that sleeps finds old batches in its sockets when it wakes, and they change nothing',
    faults: ['SIGSTOP of Redis for 5 s'],
    twin: 'late-copies',
    must: [leavesUnknown, saw(COPIED)],
    async play(stage) {
      const before = stage.storeLog.copies;
      const wake = await stage.stopRedis();
      await stage.sleep(5000);
      await wake();
      await stage.look(COPIED, async () => stage.storeLog.copies > before);
    },
  },
  {
    name: 'redis-client-pause',
    shows: 'a store that holds back its answers is slow, not gone',
    faults: ['CLIENT PAUSE for 3 s'],
    twin: 'storeDelayMsWindow',
    must: [rejects],
    async play(stage) {
      await stage.redisOnce('CLIENT PAUSE 3 s', (admin) => admin.clientPause(3000));
      await stage.sleep(4000);
    },
  },
  refusing('redis-out-of-memory', 'OOM', 4000, (admin) => admin.outOfMemory()),
  refusing('redis-readonly', 'READONLY', 4000, (admin) => admin.readonly()),
  refusing('redis-disk-full', 'MISCONF', 4000, async (admin, { store }) => {
    const unblock = await store.block('dump.rdb');
    const heal = await admin.snapshotFails();
    return async () => {
      await unblock();
      await heal();
    };
  }),
  refusing('redis-busy', 'BUSY: a script that does not end', 4000, (admin) => admin.busy()),
  {
    name: 'redis-script-flush',
    shows: 'a store that has forgotten the scripts is told them again',
    faults: ['SCRIPT FLUSH, every 400 ms'],
    twin: 'refuseReadonly',
    must: [saw(NOSCRIPT)],
    async play(stage) {
      // The first use of each script is refused with NOSCRIPT as well.
      const before = await stage.admin.errors('NOSCRIPT');
      for (let i = 0; i < FLUSHES; i++) {
        await stage.redisOnce('SCRIPT FLUSH', (admin) => admin.forgetScripts());
        await stage.sleep(400);
      }
      await stage.look(NOSCRIPT, async () => (await stage.admin.errors('NOSCRIPT')) >= before + FLUSHES);
    },
  },
];
