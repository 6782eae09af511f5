/**
 * The packed package in an application such as people have: exceptions as HTTP statuses, a request id (nestjs-cls), spans
 * (OpenTelemetry) and transactions (typeorm-transactional) around its calls. Each store has a process of its own, behind real HTTP.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { describePostgres, type PostgresServer, startPostgres } from '../support/postgres-server.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { INSTALL_TIMEOUT_MS, NODE_TYPES, NPM_FLAGS, run, userEnv } from './apps.js';
import { PACKAGES, SOURCES } from './people-app.js';

const COMPILER_OPTIONS = {
  ...{ strict: true, target: 'es2023', module: 'commonjs', moduleResolution: 'node10', rootDir: '.', outDir: 'out' },
  ...{ experimentalDecorators: true, emitDecoratorMetadata: true, esModuleInterop: true, skipLibCheck: true },
  ...{ types: ['node'], typeRoots: [NODE_TYPES] },
};

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The application as a process. */
class App {
  private constructor(
    private readonly child: ChildProcess,
    private readonly url: string,
    /** What Nest's logger wrote of the levels `warn` and `error`. */
    private readonly log: string[],
  ) {}

  static async start(cwd: string, env: NodeJS.ProcessEnv): Promise<App> {
    const args = ['--require', './out/tracing.js', 'out/main.js'];
    const child = spawn(process.execPath, args, { cwd, env: { ...userEnv, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const log: string[] = [];
    child.stderr.on('data', (chunk) => log.push(String(chunk)));
    const url = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('{')) resolve((JSON.parse(line) as { listens: string }).listens);
        else log.push(line);
      });
      child.once('exit', () => reject(new Error(`the application ended: ${log.join('\n')}`)));
    });
    return new App(child, url, log);
  }

  async ask(path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(this.url + path, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  post(path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
    const all = { 'content-type': 'application/json', ...headers };
    return this.ask(path, { method: 'POST', headers: all, body: JSON.stringify(body) });
  }

  async report(): Promise<Report> {
    const { status, body } = await this.ask('/report');
    if (status !== 200) throw new Error(`no report: ${status}, ${this.log.join('\n')}`);
    return body as Report;
  }

  /** Ends it as a deploy does; resolves with its exit code or signal, and what the library warned of in its life. */
  async stop(): Promise<readonly [ended: unknown, warnings: readonly string[]]> {
    const ended = once(this.child, 'close');
    this.child.kill('SIGTERM');
    const [code, signal] = await ended;
    return [code ?? signal, this.log.filter((line) => line.includes('AtomicQueues') || line.includes('Warning'))];
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

interface Surroundings {
  readonly requestId: string | null;
  readonly traceId: string | null;
  readonly transaction: string | null;
}

interface Report {
  readonly handlers: readonly {
    readonly request: string;
    /** At its start, after an await, and at its end unless it failed. */
    readonly found: readonly Surroundings[];
    /** In its own transaction, within contexts made of the headers. */
    readonly own: readonly Surroundings[];
  }[];
  /** In the transaction of the request: before its call, and after it. */
  readonly callers: readonly { readonly request: string; readonly found: readonly Surroundings[] }[];
  readonly rows: readonly string[];
  readonly deadLetters: number;
}

interface Request {
  readonly name: string;
  readonly traceId: string;
  readonly book: string;
  readonly fails: boolean;
  readonly rollsBack: boolean;
  readonly by: 'CommandBus' | 'QueueBus';
}

/** Two share an entity, so that half of the handlers begin at another one's end. */
const REQUESTS: readonly Request[] = Array.from({ length: 50 }, (_, i) => ({
  name: `r${i}`,
  traceId: (i + 1).toString(16).padStart(32, '0'),
  book: `b${i % 25}`,
  fails: i % 3 === 0,
  rollsBack: i % 2 === 0,
  by: i % 4 < 2 ? 'CommandBus' : 'QueueBus',
}));

const NOTHING: Surroundings = { requestId: null, traceId: null, transaction: null };

function statusOf({ fails, rollsBack }: Request): number {
  if (fails) return 422;
  return rollsBack ? 409 : 201;
}

function act(app: App, { name, traceId, book, fails, rollsBack, by }: Request): Promise<Answer> {
  const query = new URLSearchParams({ book, by, fails: `${fails}`, rollsBack: `${rollsBack}`, count: `${REQUESTS.length}` });
  return app.post(`/requests/${name}?${query}`, {}, { 'x-request-id': name, traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
}

const HOWS = ['fine', 'missing', 'bare', 'taken', 'short', 'poor', 'refused', 'locked'];

async function answersOf(app: App): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const how of HOWS) {
    answers.push(await app.post('/accounts/a-1/withdrawals', { how }));
    answers.push(await app.ask(`/accounts/a-1/balance?how=${how}`));
  }
  return answers;
}

const byName = <T extends { readonly request: string }>(all: readonly T[]): Map<string, T> =>
  new Map(all.map((one) => [one.request, one]));

function suite(before: () => readonly Answer[], start: () => Promise<App>): void {
  let app: App;
  let stopped = false;
  beforeAll(async () => {
    app = await start();
  });
  afterAll(() => {
    if (!stopped) app.kill();
  });

  it('answers 404, 409 and 422 as it did without @EntityType, body for body, and leaves no dead letter', async () => {
    const answers = await answersOf(app);
    expect(answers).toEqual(before());
    expect(answers.map(({ status }) => status)).toEqual([
      201,
      200,
      ...[404, 404, 409, 422, 409, 409, 423].flatMap((status) => [status, status]),
    ]);
    expect((await app.report()).deadLetters).toBe(0);
  });

  describe(`with ${REQUESTS.length} requests at once, each in its own context, span and transaction`, () => {
    let report: Report;
    beforeAll(async () => {
      const answers = await Promise.all(REQUESTS.map((request) => act(app, request)));
      expect(answers.map(({ status }) => status)).toEqual(REQUESTS.map(statusOf));
      report = await app.report();
    });

    it('no handler finds the request id, the span or the transaction of a caller', () => {
      const { handlers } = report;
      expect(handlers).toHaveLength(REQUESTS.length);
      expect(handlers.map(({ found }) => found.length)).toContain(3);
      expect(handlers.flatMap(({ found }) => found).filter((found) => JSON.stringify(found) !== JSON.stringify(NOTHING))).toEqual(
        [],
      );
    });

    it('each caller finds its own after the call', () => {
      const callers = byName(report.callers);
      for (const { name, traceId } of REQUESTS) {
        const found = callers.get(name)?.found ?? [];
        expect(found[0], name).toEqual({ requestId: name, traceId, transaction: expect.any(String) });
        expect(found[1], name).toEqual(found[0]);
      }
    });

    it('what travels in headers reaches the handler of that caller, whose transaction is its own', () => {
      const handlers = byName(report.handlers);
      for (const { name, traceId, by } of REQUESTS) {
        const [own] = handlers.get(name)?.own ?? [];
        if (by === 'QueueBus') expect(own, name).toMatchObject({ requestId: name, traceId });
        else expect(REQUESTS.map((request) => request.traceId)).not.toContain(own?.traceId);
      }
      const all = [...report.handlers.map(({ own }) => own[0]), ...report.callers.map(({ found }) => found[0])];
      expect(new Set(all.map((one) => one?.transaction)).size).toBe(2 * REQUESTS.length);
    });

    it('each transaction commits or is rolled back alone', () => {
      const expected = REQUESTS.flatMap(({ name, fails, rollsBack }) => [
        `plain ${name}`,
        ...(fails ? [] : [`own ${name}`]),
        ...(fails || rollsBack ? [] : [`caller ${name}`]),
      ]);
      expect([...report.rows].sort()).toEqual(expected.sort());
      expect(report.deadLetters).toBe(0);
    });
  });

  it('ends at SIGTERM, without a warning', async () => {
    stopped = true;
    expect(await app.stop()).toEqual(['SIGTERM', []]);
  });
}

describePostgres('the packed package in an application with HTTP, nestjs-cls, OpenTelemetry and typeorm-transactional', () => {
  let dir = '';
  let postgres: PostgresServer;
  let before: readonly Answer[] = [];

  const start = (env: NodeJS.ProcessEnv): Promise<App> => App.start(dir, { PG_URL: postgres.url, ...env });
  /** The answers without `@EntityType`. */
  const answersWithout = async (): Promise<readonly Answer[]> => {
    const app = await start({});
    try {
      return await answersOf(app);
    } finally {
      app.kill();
    }
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aq-people-'));
    postgres = await startPostgres();
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'app', version: '1.0.0', private: true }));
    const files = ['main.ts', 'tracing.ts'];
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files }));
    for (const [name, code] of Object.entries(SOURCES)) writeFileSync(join(dir, `${name}.ts`), code);
    await run(dir, 'npm', ['install', ...NPM_FLAGS, ...PACKAGES, inject('tarball')]);
    await run(dir, process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
    before = await answersWithout();
  }, 2 * INSTALL_TIMEOUT_MS);

  afterAll(async () => {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  describe('on the memory store', () => {
    suite(
      () => before,
      () => start({ ADDED: '1' }),
    );
  });

  describeRedis('on Redis', () => {
    let redis: RedisServer;
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterAll(() => redis.stop());
    suite(
      () => before,
      () => start({ ADDED: '1', REDIS: redis.url }),
    );
  });
});
