import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const OUT = join(ROOT, 'build', `nest-process-${process.pid}`);

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
};

function transpileTree(from: string): void {
  for (const entry of readdirSync(join(ROOT, from), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const path = join(entry.parentPath, entry.name);
    const target = join(OUT, relative(ROOT, path)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, ts.transpileModule(readFileSync(path, 'utf8'), { compilerOptions, fileName: path }).outputText);
  }
}

beforeAll(() => {
  transpileTree('src');
  transpileTree('test/nest/process');
});

afterAll(() => rmSync(OUT, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly lines: string[];
}

interface Run {
  /** What it says when the signals are sent. */
  readonly signalAt?: string;
  readonly signals?: readonly NodeJS.Signals[];
  readonly node?: string[];
}

/** Runs the program to its end, and sends it signals on the way. */
function run(mode: string, { signalAt, signals = ['SIGTERM'], node = [] }: Run = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...node, join(OUT, 'test/nest/process/app.js'), mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), 10_000);
  let text = '';
  let isSent = false;
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (signalAt === undefined || isSent || !text.includes(signalAt)) return;
    isSent = true;
    for (const signal of signals) child.kill(signal);
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      resolve({ code, signal, lines: text.split('\n').filter(Boolean) });
    });
  });
}

test('an application that only waits for work does not hold its process', async () => {
  expect(await run('idle')).toEqual({ code: 0, signal: null, lines: [] });
});

test('a wait, a running handler and a drain hold it, and then let it go', async () => {
  const [wait, send, close] = await Promise.all([run('wait'), run('send'), run('close')]);
  expect(wait).toEqual({ code: 0, signal: null, lines: ['w began', 'w ended', 'w done'] });
  expect(send).toEqual({ code: 0, signal: null, lines: ['s began', 's ended'] });
  expect(close).toEqual({ code: 0, signal: null, lines: ['c began', 'c ended', 'closed'] });
});

test('SIGTERM without shutdown hooks: what runs is finished, then the process ends by that signal', async () => {
  const { signal, lines } = await run('signal', { signalAt: 'other began' });
  expect(signal).toBe('SIGTERM');
  expect(lines.toSorted()).toEqual(['first began', 'first ended', 'other began', 'other ended']);
});

test('Ctrl-C that a parent passes on as well, once as it is and once as SIGTERM, is one signal', async () => {
  const { signal, lines } = await run('signal', { signalAt: 'other began', signals: ['SIGINT', 'SIGINT', 'SIGTERM'] });
  expect(['SIGINT', 'SIGTERM']).toContain(signal);
  expect(lines.toSorted()).toEqual(['first began', 'first ended', 'other began', 'other ended']);
});

test('SIGTERM for two applications, one with shutdown hooks: its end does not cut the drain of the other', async () => {
  const { signal, lines } = await run('one-with-hooks', { signalAt: 'fast began' });
  expect(signal).toBe('SIGTERM');
  expect(lines.toSorted()).toEqual(['fast began', 'fast ended', 'slow began', 'slow ended']);
});

test('Redis without ioredis: one clear line', async () => {
  const hook = `export const resolve = (name, context, next) => {
    if (name !== 'ioredis') return next(name, context);
    throw Object.assign(new Error("Cannot find package 'ioredis'"), { code: 'ERR_MODULE_NOT_FOUND' });
  };`;
  const data = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const register = data(`import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`);
  const { code, lines } = await run('redis', { node: ['--import', register] });
  expect(code).toBe(1);
  expect(lines).toEqual([expect.stringMatching(/^failed: \[CONFIG_INVALID\].*npm install ioredis$/)]);
});

test('Redis that nobody serves: the start fails and says so', async () => {
  const { code, lines } = await run('redis');
  expect(code).toBe(1);
  expect(lines).toEqual([expect.stringMatching(/^failed: \[STORE_UNAVAILABLE\].*127\.0\.0\.1/)]);
});
