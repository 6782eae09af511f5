import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join as path } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BroadcastChannel } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ControlAnswerOf, Member } from '../../src/core/log/control-operations.js';
import type { Ending, HeartbeatListener } from '../../src/ports/heartbeats.js';
import type { StoreCallError } from '../../src/ports/store.js';
import { HeartbeatThread, type HeartbeatThreadOptions, workerBeside } from '../../src/redis/heartbeat-thread.js';
import type { RedisStore } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Transpiled, transpile } from '../support/transpiled.js';
import { join, redisStore, type Session } from './support.js';

const EVERY_MS = 30;
const STALL_LIMIT_MS = 600;
/** What a thread, a connection and a loaded machine may take. */
const SOON_MS = 6000;
const CRASH = 'crash-of-the-beats';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, probe: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + SOON_MS;
  while (!(await probe())) {
    if (performance.now() > endMs) throw new Error(`timed out waiting until ${what}`);
    await sleep(5);
  }
}

/** As a handler that computes: nothing else of this thread runs meanwhile. */
function block(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

class Heard implements HeartbeatListener {
  readonly answers: { answer: ControlAnswerOf['heartbeat']; sentMs: number; receivedMs: number }[] = [];
  readonly failures: StoreCallError[] = [];
  readonly endings: Ending[] = [];

  answered(answer: ControlAnswerOf['heartbeat'], _heartbeat: number, sentMs: number, receivedMs: number): void {
    this.answers.push({ answer, sentMs, receivedMs });
  }

  ended(why: Ending): void {
    this.endings.push(why);
  }

  failed(error: StoreCallError): void {
    this.failures.push(error);
  }

  async another(): Promise<void> {
    const { length } = this.answers;
    await until('a beat is answered', () => this.answers.length > length);
  }
}

describeRedis(
  'the thread that sends the beats',
  () => {
    let code: Transpiled;
    let workerUrl: URL;
    let server: RedisServer;
    let store: RedisStore;
    let session: Session;
    let open: HeartbeatThread[];
    let crash: BroadcastChannel;

    beforeAll(() => {
      code = transpile('heartbeat-thread', 'src');
      const worker = path(code.dir, 'src/redis/crashing-worker.js');
      // The real worker, and a way to end it from within.
      const text = `import { BroadcastChannel } from 'node:worker_threads';
        import './heartbeat-worker.js';
        new BroadcastChannel('${CRASH}').onmessage = ({ data }) => {
          if (data === 'exit') process.exit(3);
          throw new Error('crashed by the test');
        };`;
      writeFileSync(worker, text);
      workerUrl = pathToFileURL(worker);
    });
    afterAll(() => code.remove());

    beforeEach(async () => {
      open = [];
      crash = new BroadcastChannel(CRASH);
      server = await startRedis({ appendfsync: 'always', extraArgs: ['--requirepass', 'secret'] });
      store = redisStore(server.port, { connection: { port: server.port, password: 'secret' } });
      await store.open();
      session = await join(store);
    });
    afterEach(async () => {
      for (const thread of open) await thread.close();
      crash.close();
      await store.close();
      await server.stop();
    });

    function start(more: Partial<HeartbeatThreadOptions> = {}): HeartbeatThread {
      const thread = new HeartbeatThread({
        ...{ connection: { port: server.port, password: 'secret' }, keyPrefix: 'aq', storeCallTimeoutMs: 400, everyMs: EVERY_MS },
        ...{ loopStallLimitMs: STALL_LIMIT_MS, clock: new SystemClock(), workerUrl },
        ...more,
      });
      open.push(thread);
      return thread;
    }

    function begin(thread: HeartbeatThread, member = session.identity): Heard {
      const heard = new Heard();
      thread.begin(member, heard);
      return heard;
    }

    async function member(): Promise<Member | undefined> {
      const { members } = await store.control({ op: 'members' });
      return members.find((m) => m.incarnation === session.joined.incarnation);
    }

    const heartbeat = async (): Promise<number> => (await member())?.heartbeat ?? -1;

    it('beats, with times of the clock of this thread', async () => {
      const thread = start();
      const fromMs = performance.now();
      const heard = begin(thread);
      expect(thread.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
      for (let i = 0; i < 3; i++) await heard.another();
      const toMs = performance.now();
      let beforeMs = fromMs;
      for (const { answer, sentMs, receivedMs } of heard.answers) {
        expect(answer.ok).toBe(true);
        expect(sentMs).toBeGreaterThan(beforeMs);
        expect(receivedMs).toBeGreaterThan(sentMs);
        expect(receivedMs).toBeLessThan(toMs);
        beforeMs = receivedMs;
      }
      expect(thread.lastProvedMs()).toBeGreaterThan(fromMs);
      expect(thread.lastProvedMs()).toBeLessThanOrEqual(toMs);
      expect(await heartbeat()).toBeGreaterThanOrEqual(heard.answers.length);
    });

    it('goes on while the loop is blocked, and what it proves can be read there and then', async () => {
      const thread = start();
      const heard = begin(thread);
      await heard.another();
      const { length } = heard.answers;
      const [heartbeatBefore, beforeMs] = [await heartbeat(), performance.now()];
      block(STALL_LIMIT_MS - 200);
      const provedMs = thread.lastProvedMs();
      expect(heard.answers.length).toBeLessThanOrEqual(length + 2);
      expect(provedMs).toBeGreaterThan(beforeMs + 100);
      await until('the news of those beats have come', () => heard.answers.some(({ sentMs }) => sentMs > beforeMs + 100));
      expect(await heartbeat()).toBeGreaterThan(heartbeatBefore + 3);
    });

    it('stops when the loop stands still for too long, and goes on when it turns again', async () => {
      const thread = start();
      const heard = begin(thread);
      await heard.another();
      const beforeMs = performance.now();
      block(3 * STALL_LIMIT_MS);
      const provedMs = thread.lastProvedMs();
      expect(provedMs).toBeGreaterThan(beforeMs);
      expect(provedMs).toBeLessThan(beforeMs + 2 * STALL_LIMIT_MS);
      await until('it beats again', () => thread.lastProvedMs() > beforeMs + 3 * STALL_LIMIT_MS);
      expect(heard.failures).toEqual([]);
    });

    it.each(['exit', 'throw'])('is started again when it crashes (%s), and its counter goes on', async (how) => {
      const thread = start();
      const heard = begin(thread);
      for (let i = 0; i < 3; i++) await heard.another();
      const before = await heartbeat();
      crash.postMessage(how);
      await until('the crash is told', () => heard.failures.length > 0);
      expect(heard.failures[0]?.message).toMatch(how === 'exit' ? /exit code 3/ : /crashed by the test/);
      await heard.another();
      await heard.another();
      expect(await heartbeat()).toBeGreaterThan(before);
      expect(heard.answers.every(({ answer }) => answer.ok)).toBe(true);
    });

    it('tells that the incarnation is dead, and sends nothing more for it', async () => {
      await store.control({ op: 'leave', ...session.remembered });
      const heard = begin(start());
      await until('the fence is told', () => heard.endings.length > 0);
      await sleep(5 * EVERY_MS);
      expect(heard).toMatchObject({ endings: ['FENCED'], answers: [], failures: [] });
    });

    it('tells and proves nothing of a former incarnation', async () => {
      const thread = start();
      const former = begin(thread);
      await former.another();
      thread.end();
      expect(thread.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
      const [heartbeatAtEnd, { length }] = [await heartbeat(), former.answers];
      const next = begin(thread, { ...session.identity, incarnation: 999 });
      await until('the store says that it never gave that number', () => next.endings.length > 0);
      expect(next.endings).toEqual(['UNKNOWN']);
      expect(former.answers).toHaveLength(length);
      expect(thread.lastProvedMs()).toBe(Number.NEGATIVE_INFINITY);
      // One may have been on its way.
      expect(await heartbeat()).toBeLessThanOrEqual(heartbeatAtEnd + 1);
    });

    it('a Redis that is away fails the beats, and is found again, also if it was away at the start', async () => {
      await server.kill9();
      const thread = start();
      const heard = begin(thread);
      await until('beats fail', () => heard.failures.length > 2);
      expect(heard.failures[0]?.message).toContain(String(server.port));
      await server.restart();
      await heard.another();
      await server.kill9();
      const { length } = heard.failures;
      await until('beats fail again', () => heard.failures.length > length);
      const provedMs = thread.lastProvedMs();
      await server.restart();
      await until('it beats again', () => thread.lastProvedMs() > provedMs);
    });

    it('a Redis that stalls costs a beat its deadline, not the thread', async () => {
      const heard = begin(start());
      await heard.another();
      process.kill(server.pid, 'SIGSTOP');
      try {
        await until('a beat fails', () => heard.failures.length > 0);
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
      await heard.another();
    });

    it('a wrong password is told for what it is', async () => {
      const heard = begin(start({ connection: { port: server.port, password: 'hunter2' } }));
      await until('it fails', () => heard.failures.length > 0);
      expect(heard.failures[0]).toMatchObject({ refused: true, permanent: true });
      expect(heard.failures[0]?.message).not.toContain('hunter2');
    });

    it('leaves nothing once closed: no beat, no restart, no thread', async () => {
      const thread = start();
      const heard = begin(thread);
      await heard.another();
      const startMs = performance.now();
      await Promise.all([thread.close(), thread.close()]);
      expect(performance.now() - startMs).toBeLessThan(1000);
      const [before, { length }] = [await heartbeat(), heard.answers];
      begin(thread);
      await sleep(10 * EVERY_MS);
      expect(await heartbeat()).toBe(before);
      expect(heard.answers).toHaveLength(length);
      expect(heard.failures).toEqual([]);
    });

    it('is not started after all if it crashed right before it was closed', async () => {
      const thread = start();
      const heard = begin(thread);
      await heard.another();
      crash.postMessage('exit');
      await until('the crash is told', () => heard.failures.length > 0);
      await thread.close();
      const before = await heartbeat();
      await sleep(300);
      expect(await heartbeat()).toBe(before);
    });

    it('does not hold its process', async () => {
      const program = path(code.dir, 'idle.js');
      const options = { keyPrefix: 'aq', storeCallTimeoutMs: 400, everyMs: EVERY_MS, loopStallLimitMs: 1000 };
      writeFileSync(
        program,
        `import { HeartbeatThread } from './src/redis/heartbeat-thread.js';
        import { SystemClock } from './src/system/clock.js';
        const thread = new HeartbeatThread({ ...${JSON.stringify(options)}, connection: { port: ${server.port}, password: 'secret' }, clock: new SystemClock() });
        const beaten = new Promise((resolve) => {
          thread.begin(${JSON.stringify(session.identity)}, { answered: resolve, ended: resolve, failed: resolve });
        });
        const holds = setInterval(() => {}, 1000);
        await beaten;
        clearInterval(holds);
        console.log('beaten');`,
      );
      const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
      const limit = setTimeout(() => child.kill('SIGKILL'), SOON_MS);
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const ended = await new Promise((resolve) => child.on('close', (exitCode, signal) => resolve({ exitCode, signal })));
      clearTimeout(limit);
      expect(ended).toEqual({ exitCode: 0, signal: null });
      expect(text).toBe('beaten\n');
      expect(await heartbeat()).toBeGreaterThan(0);
    });

    it('cannot be in a bundle, and says what to do about it', () => {
      const advice = /leave the package atomic-queues out of it/;
      // What a bundler makes of import.meta.url: nothing, or the place of the bundle.
      for (const url of [undefined, '']) expect(() => workerBeside(url)).toThrow(advice);
      const bundle = workerBeside(pathToFileURL('/app/dist/main.js').href);
      expect(() => start({ workerUrl: bundle })).toThrow(
        /there is no \/app\/dist\/heartbeat-worker\.js: a bundle holds only what is imported/,
      );
    });

    it('cannot be where its file is missing, or where the options cannot be handed over', () => {
      expect(() => start({ workerUrl: new URL('./no-such-worker.js', workerUrl) })).toThrow(/there is no .*no-such-worker/);
      const tls = { checkServerIdentity: () => undefined };
      expect(() => start({ connection: { port: server.port, tls } })).toThrow(/could not be cloned/);
    });
  },
  { own: true },
);
