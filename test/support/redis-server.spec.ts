import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { guardScript } from '../../chaos/guard.js';
import { describeRedis, type RedisServer, startRedis } from './redis-server.js';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!condition() && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function withClient<T>(server: RedisServer, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server.url, { maxRetriesPerRequest: 1 });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

describeRedis(
  'the redis-server of the tests',
  () => {
    it('keeps its data over kill -9 and restart, with another process id, and leaves nothing after stop', async () => {
      const server = await startRedis({ appendfsync: 'always' });
      const firstPid = server.pid;
      await withClient(server, (client) => client.set('k', 'v'));
      await server.kill9();
      expect(isAlive(firstPid)).toBe(false);
      await server.restart();
      expect(server.pid).not.toBe(firstPid);
      expect(await withClient(server, (client) => client.get('k'))).toBe('v');
      const { pid, dir } = server;
      await server.stop();
      await server.stop();
      expect(isAlive(pid)).toBe(false);
      expect(existsSync(dir)).toBe(false);
    });

    it('passes arguments on, and says what the server said when it does not start', async () => {
      const server = await startRedis({ extraArgs: ['--maxmemory', '7mb'] });
      expect(await withClient(server, (client) => client.config('GET', 'maxmemory'))).toEqual([
        'maxmemory',
        String(7 * 1024 * 1024),
      ]);
      await server.stop();
      await expect(startRedis({ extraArgs: ['--no-such-option', '1'] })).rejects.toThrow(/did not start/);
    });

    it('ends with its process, even one that was killed', async () => {
      // A stand-in for a test worker: the same guard, in a process of its own.
      const script = `
        const { spawn } = require('node:child_process');
        const victim = spawn('sleep', ['60'], { stdio: 'ignore' });
        const guard = spawn('/bin/sh', ['-c', process.argv[1], 'guard', process.argv[2]], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
        guard.stdin.write(victim.pid + '\\n', () => console.log(victim.pid));
        setInterval(() => {}, 1000);`;
      const worker = spawn(process.execPath, ['-e', script, guardScript, '/tmp/aq-no-such-folder'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(worker.stdout, 'data')) as [Buffer];
      const victim = Number(line.toString());
      expect(isAlive(victim)).toBe(true);
      worker.kill('SIGKILL');
      await until(() => !isAlive(victim), 5000);
      expect(isAlive(victim)).toBe(false);
    });
  },
  { own: true },
);
