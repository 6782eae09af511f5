/**
 * The one file of the simulator that touches the real process: draining microtasks, the command line, files, and the real
 * time that rates are measured by. Nothing here may decide anything inside a simulated run; test/tidy bans these doors
 * everywhere else.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';

type Drain = () => void;

/** Whether `drain`, called now, runs what is queued, chains of it included. */
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
 * A function that runs all microtasks, with all that they queue, before it returns. Both ways are undocumented, and a silent
 * no-op where a microtask is running already, so each must show that it works before it is used.
 */
function findDrain(): Drain {
  const tick = tickDrain();
  if (tick !== undefined && drains(tick)) return tick;
  const native = nativeDrain();
  if (drains(native)) return native;
  throw new Error('this Node cannot drain microtasks synchronously: the simulator cannot run here');
}

const STACK_FRAMES = 2;

/** Runs `body` where microtasks can be drained: in a macrotask of its own. What it throws rejects. */
export function inMacrotask<T>(body: (drain: Drain) => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      const { stackTraceLimit } = Error;
      try {
        // Runs make thousands of errors whose stacks nobody reads.
        Error.stackTraceLimit = STACK_FRAMES;
        resolve(body(findDrain()));
      } catch (error) {
        reject(error);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
      }
    });
  });
}

/** Lets the terminal and signals have their turn. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Tells of rejections that nobody handles, as long as the returned function is not called. */
export function watchRejections(told: (reason: unknown) => void): () => void {
  const listener = (reason: unknown): void => told(reason);
  process.on('unhandledRejection', listener);
  return () => void process.off('unhandledRejection', listener);
}

/** Real milliseconds, for rates only. */
export const realMs = (): number => performance.now();

/** CPU milliseconds that this process has used. */
export const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
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
