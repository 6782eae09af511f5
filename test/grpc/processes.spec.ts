import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NetworkPeer } from '../../src/ports/network.js';
import type { Command, Report } from './child.js';
import { GrpcCluster, type Member, pause, wake } from './support.js';

const OUT = join('build', `grpc-process-${process.pid}`);
const compilerOptions = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, experimentalDecorators: true };

function transpile(from: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const path = join(entry.parentPath, entry.name);
    const target = join(OUT, relative('.', path)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions, fileName: path }).outputText);
  }
}

class Child {
  readonly #child: ChildProcess;
  info: NetworkPeer;

  constructor(
    readonly incarnation: number,
    readonly serverId: string,
  ) {
    this.#child = fork(join(OUT, 'test/grpc/child.js'), [String(incarnation), serverId]);
    this.info = { incarnation, serverId, group: 'default', address: '' };
  }

  async started(): Promise<this> {
    const report = await this.#heard('port');
    this.info = { ...this.info, address: `127.0.0.1:${report.port}` };
    return this;
  }

  order(command: Command): void {
    this.#child.send(command);
  }

  async report(): Promise<Report & { says: 'report' }> {
    const heard = this.#heard('report');
    this.order({ do: 'report' });
    return heard;
  }

  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.signal('SIGKILL');
    await exited;
  }

  async #heard<S extends Report['says']>(says: S): Promise<Report & { says: S }> {
    for (;;) {
      const [report] = (await once(this.#child, 'message')) as [Report];
      if (report.says === says) return report as Report & { says: S };
    }
  }
}

describe('the network over gRPC between processes', () => {
  let cluster: GrpcCluster;
  let first: Member;
  let child: Child;
  const told: { incarnation: number; isSuspect: boolean; atMs: number }[] = [];

  beforeAll(() => {
    for (const folder of ['src', 'test/grpc']) transpile(folder);
  });
  afterAll(() => rmSync(OUT, { recursive: true, force: true }));

  it('without the package, `grpc.enabled` fails the start with one line that says what to install', async () => {
    const hook = `export async function resolve(name, context, next) {
      if (name !== '@grpc/grpc-js') return next(name, context);
      throw Object.assign(new Error("Cannot find package '@grpc/grpc-js' imported from x"), { code: 'ERR_MODULE_NOT_FOUND' });
    }`;
    const program = `import { register } from 'node:module';
      register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)});
      const { configOf, startNode } = await import(${JSON.stringify(resolve(OUT, 'src/nest/composition.js'))});
      const logger = { log() {}, warn() {}, error() {}, debug() {} };
      const config = configOf({ redis: {}, grpc: { enabled: true } });
      await startNode({ config, contracts: [], logger }).catch((error) => console.log(error.message));`;
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    const line = '`grpc.enabled` needs the package @grpc/grpc-js, which is not installed: npm install @grpc/grpc-js';
    expect(text).toBe(`[CONFIG_INVALID] ${line}\n`);
  });

  // The child is the older one, so that this process opens the link, or the younger one, which opens it.
  for (const incarnation of [1, 9])
    describe(incarnation === 1 ? 'this one opened the link' : 'the other one opened the link', () => {
      beforeEach(async () => {
        cluster = new GrpcCluster();
        told.length = 0;
        child = await new Child(incarnation, 'child').started();
        cluster.strangers.push(child.info);
        first = await joined(5);
        first.network.onSuspect((whom, isSuspect) => told.push({ incarnation: whom, isSuspect, atMs: performance.now() }));
        first.network.send(incarnation, wake('before'));
        await expect.poll(async () => (await child.report()).got).toEqual(['before']);
      });
      afterEach(async () => {
        await child.end();
        await cluster.close();
      });

      async function joined(me: number): Promise<Member> {
        const joining = cluster.join(me);
        await pause(50);
        child.order({ do: 'update', peers: cluster.snapshot().peers });
        return joining;
      }

      it('kill -9 is noticed within a second', async () => {
        const startMs = performance.now();
        child.signal('SIGKILL');
        await expect.poll(() => told.length, { interval: 10 }).toBe(1);
        expect((told[0]?.atMs ?? 0) - startMs).toBeLessThan(1000);
        expect(first.network.link(incarnation)).toBe('suspect');
        expect(first.network.stats().links).toBe(0);
      });

      it('a freeze is noticed within three seconds; what was for that time is not acted upon after the thaw', async () => {
        const startMs = performance.now();
        child.signal('SIGSTOP');
        for (let i = 0; i < 40; i++) first.network.send(incarnation, wake('in the freeze'));
        await expect.poll(() => told.length, { interval: 10, timeout: 4000 }).toBe(1);
        expect((told[0]?.atMs ?? 0) - startMs).toBeLessThan(3000);
        child.signal('SIGCONT');
        await expect.poll(() => told.map(({ isSuspect }) => isSuspect), { timeout: 4000 }).toEqual([true, false]);
        child.order({ do: 'update', peers: cluster.snapshot().peers });
        await expect
          .poll(
            async () => {
              first.network.send(incarnation, wake('after'));
              return (await child.report()).got.includes('after');
            },
            { timeout: 5000, interval: 100 },
          )
          .toBe(true);
        const { got, expired } = await child.report();
        expect(got).not.toContain('in the freeze');
        expect(expired).toBe(40);
      });

      it('closes within a second though the other one is frozen', async () => {
        child.signal('SIGSTOP');
        for (let i = 0; i < 100; i++) first.network.send(incarnation, wake('x'.repeat(100_000)));
        await pause(50);
        const startMs = performance.now();
        await first.network.close();
        expect(performance.now() - startMs).toBeLessThan(1000);
      });
    });
});
