/**
 * The only file of the simulator that uses the real process: it drains microtasks, and accesses the command line, files, and the
 * real time that rates are measured by. Nothing here may decide anything inside a simulated run. test/tidy bans these APIs in
 * every other file, and they are blocked during a run (`inMacrotask`).
 */
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname } from 'node:path';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';

type Drain = () => void;

// ---- doors to real time, chance and timers -----------------------------------------------------------------------------

/** Simulated code has used an API whose result differs from run to run. */
export class AmbientCall extends Error {
  override readonly name = 'AmbientCall';

  constructor(door: string) {
    super(`${door} was used inside of a simulated run: take it from a port`);
  }
}

interface Door {
  /** Name of the object; '' for globals. */
  readonly of: string;
  readonly object: object;
  readonly names: readonly string[];
}

const TIMERS = ['setTimeout', 'setInterval', 'setImmediate'];
const RANDOM = ['randomUUID', 'randomBytes', 'randomInt', 'randomFill', 'randomFillSync'];

/** `queueMicrotask` is not blocked: what it queues runs in order, before the next event. */
const DOORS: readonly Door[] = [
  { of: '', object: globalThis, names: ['Date', ...TIMERS, 'fetch', 'WeakRef', 'FinalizationRegistry'] },
  { of: 'Math', object: Math, names: ['random'] },
  { of: 'performance', object: performance, names: ['now', 'timeOrigin', 'mark', 'measure'] },
  { of: 'process', object: process, names: ['hrtime', 'uptime', 'cpuUsage'] },
  { of: 'crypto', object: globalThis.crypto, names: ['randomUUID', 'getRandomValues'] },
  { of: 'AbortSignal', object: AbortSignal, names: ['timeout'] },
  { of: 'Intl', object: Intl, names: ['DateTimeFormat'] },
  { of: 'node:crypto', object: crypto, names: RANDOM },
  { of: 'node:timers', object: timers, names: TIMERS },
  { of: 'node:timers/promises', object: timersPromises, names: TIMERS },
  { of: 'scheduler', object: timersPromises.scheduler, names: ['wait', 'yield'] },
];

/** Members of blocked functions that are blocked too. */
const INNER: Readonly<Record<string, string>> = { Date: 'now', 'process.hrtime': 'bigint' };

type Refuse = (door: string) => never;

/** Returns the replacement of a blocked API. It may be inspected (`x instanceof Date`), and never returns the time of a clock. */
function shut(name: string, original: unknown, refuse: Refuse): PropertyDescriptor {
  if (typeof original !== 'function') return { configurable: true, get: () => refuse(name) };
  const value = new Proxy(original, {
    apply: () => refuse(name),
    construct(target, args, as) {
      if (name !== 'Date' || args.length === 0) return refuse(`new ${name}`);
      return Reflect.construct(target, args, as) as object;
    },
    get: (target, key) => (key === INNER[name] ? () => refuse(`${name}.${key}`) : (Reflect.get(target, key) as unknown)),
  });
  return { configurable: true, writable: true, value };
}

/** Blocks all APIs of DOORS. Adds to `open` the functions that unblock them again. */
function closeDoors(refuse: Refuse, open: (() => void)[]): void {
  open.push(syncBuiltinESMExports);
  for (const { of, object, names } of DOORS)
    for (const key of names) {
      const before = Object.getOwnPropertyDescriptor(object, key);
      Object.defineProperty(object, key, shut(of === '' ? key : `${of}.${key}`, Reflect.get(object, key), refuse));
      open.push(() => {
        if (before === undefined) Reflect.deleteProperty(object, key);
        else Object.defineProperty(object, key, before);
      });
    }
  // Named imports of Node's modules change only after this call.
  syncBuiltinESMExports();
}

// ---- draining microtasks -----------------------------------------------------------------------------------------------

/** Returns whether `drain`, called now, runs all queued microtasks, including those that they queue. */
function drains(drain: Drain): boolean {
  let depth = 0;
  const next = (): void => {
    if (++depth < 200) void Promise.resolve().then(next);
  };
  void Promise.resolve().then(next);
  drain();
  return depth === 200;
}

function tickDrain(): Drain | undefined {
  const { _tickCallback } = process as unknown as { _tickCallback?: Drain };
  return _tickCallback === undefined ? undefined : () => _tickCallback.call(process);
}

function nativeDrain(): Drain {
  setFlagsFromString('--allow-natives-syntax');
  return new Function('%PerformMicrotaskCheckpoint()') as Drain;
}

/**
 * Returns a function that runs all microtasks, and all that they queue, before it returns. Both ways are undocumented, and do
 * nothing silently while a microtask is running. So each must show that it works before it is used.
 */
function findDrain(): Drain {
  const tick = tickDrain();
  if (tick !== undefined && drains(tick)) return tick;
  const native = nativeDrain();
  if (drains(native)) return native;
  throw new Error('this Node cannot drain microtasks synchronously: the simulator cannot run here');
}

const STACK_FRAMES = 2;

/**
 * Runs `body` in its own macrotask, where microtasks can be drained, with the APIs of DOORS blocked. Rejects with what `body`
 * throws. Also rejects if a blocked API was used, even if the error was caught.
 */
export function inMacrotask<T>(body: (drain: Drain) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      const { stackTraceLimit } = Error;
      const used: AmbientCall[] = [];
      const open: (() => void)[] = [];
      const refuse = (door: string): never => {
        Error.stackTraceLimit = stackTraceLimit;
        const call = new AmbientCall(door);
        Error.stackTraceLimit = STACK_FRAMES;
        used.push(call);
        throw call;
      };
      try {
        closeDoors(refuse, open);
        // Runs make thousands of errors whose stacks are never read.
        Error.stackTraceLimit = STACK_FRAMES;
        const result = body(findDrain());
        if (used.length === 0) resolve(result);
        else reject(used[0]);
      } catch (error) {
        reject(used[0] ?? error);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
        for (const one of open.reverse()) one();
      }
    });
  });
}

/** Lets the terminal and signals be served. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Calls `told` for every unhandled rejection until the returned function is called. */
export function watchRejections(told: (reason: unknown) => void): () => void {
  const listener = (reason: unknown): void => told(reason);
  process.on('unhandledRejection', listener);
  return () => void process.off('unhandledRejection', listener);
}

// Taken before the APIs are blocked, since rates are measured between the runs of one macrotask.
const now = performance.now.bind(performance);
const { cpuUsage } = process;

/** Returns real milliseconds, for rates only. */
export const realMs = (): number => now();

/** Returns the CPU milliseconds that all threads of this process have used. */
export const cpuMs = (): number => {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
};

export const commandLine = (): readonly string[] => process.argv.slice(2);

export const printResult = (line: string): void => void process.stdout.write(`${line}\n`);

export const printNote = (line: string): void => void process.stderr.write(`${line}\n`);

export const isTerminal = (): boolean => process.stderr.isTTY === true;

export const printOver = (line: string): void => void process.stderr.write(`\r\x1b[K${line}`);

export function exitWith(code: number): void {
  process.exitCode = code;
}

export function commitOfTree(): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], { encoding: 'utf8' });
  return git.status === 0 ? git.stdout.trim() : 'unknown';
}

export function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

export const readText = (path: string): string => readFileSync(path, 'utf8');
