import { describe, expect, it } from 'vitest';
import { arrowFaults, optionalPeerFaults, unusedFaults, unusedLuaFaults } from './arrows.js';
import { differences, firstColumn, invariantIdsIn } from './docs.js';
import {
  anyFaults,
  bannedGlobalFaults,
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  sizeFaults,
  timerFaults,
  unfinishedFaults,
} from './rules.js';
import type { Source } from './source.js';
import { retiredWordFaults } from './words.js';

const at = (path: string, text: string): Source => ({ path, text });
const lines = (count: number): string => Array.from({ length: count }, (_, i) => `const v${i} = ${i};`).join('\n');

// Every rule is shown to find what it is for, and to leave alone what only looks like it.
describe('the import arrows', () => {
  const wrong: readonly [string, string][] = [
    ['src/core/a.ts', `import { x } from '../ports/b.js';`],
    ['src/core/a.ts', `import { x } from 'node:crypto';`],
    ['src/core/a.ts', `export * from '../runtime/b.js';`],
    ['src/core/log/a.ts', `const b = await import('../../redis/b.js');`],
    ['src/core/a.ts', `type T = import('../memory/b.js').T;`],
    ['src/ports/a.ts', `import type { x } from '../runtime/b.js';`],
    ['src/runtime/a.ts', `import { x } from '../memory/b.js';`],
    ['src/runtime/a.ts', `import { x } from 'node:timers';`],
    ['src/redis/a.ts', `import { x } from '../grpc/b.js';`],
    ['src/grpc/a.ts', `import { x } from '../redis/b.js';`],
    ['src/memory/a.ts', `import { x } from '../runtime/b.js';`],
    ['src/memory/a.ts', `import { x } from 'ioredis';`],
    ['src/nest/module.ts', `import { x } from '../redis/b.js';`],
    ['src/codegen/a.ts', `import { x } from '../redis/b.js';`],
    ['src/cli/a.ts', `import { x } from '../nest/b.js';`],
    ['src/nest/a.ts', `import { x } from '../../demo/b.js';`],
    ['src/runtime/a.ts', `import { x } from '../../sim/b.js';`],
    ['src/nest/a.ts', `import { x } from '../index.js';`],
    ['src/helpers/a.ts', ''],
  ];
  it.each(wrong)('refuse in %s: %s', (path, text) => {
    expect(arrowFaults([at(path, text)])).toHaveLength(1);
  });

  const right: readonly [string, string][] = [
    ['src/core/log/a.ts', `import { x } from '../b.js';`],
    ['src/ports/a.ts', `import type { x } from '../core/b.js';`],
    ['src/runtime/a.ts', `import { AsyncLocalStorage } from 'node:async_hooks';`],
    ['src/redis/a.ts', `import { Redis } from 'ioredis';`],
    ['src/nest/composition.ts', `const { x } = await import('../redis/b.js');`],
    ['src/index.ts', `export { x } from './nest/b.js';`],
  ];
  it.each(right)('allow in %s: %s', (path, text) => {
    expect(arrowFaults([at(path, text)])).toEqual([]);
  });

  it('find files that nobody imports, and entries that are not there', () => {
    const index = at('src/index.ts', `import './a.js'; new Worker(new URL('./worker.js', import.meta.url));`);
    const files = [index, at('src/a.ts', ''), at('src/worker.ts', ''), at('src/alone.ts', `import './a.js';`)];
    expect(unusedFaults(files, ['src/index.ts'])).toEqual(['src/alone.ts: nobody imports it']);
    expect(unusedFaults(files, ['src/index.ts', 'src/alone.ts', 'src/gone.ts'])).toEqual([
      'src/gone.ts: an entry that does not exist',
    ]);
    const lua = [at('src/redis/scripts/begin.lua', ''), at('src/redis/scripts/old-begin.lua', '')];
    expect(unusedLuaFaults(lua, [at('src/redis/store.ts', `read('begin')`)])).toEqual([
      'src/redis/scripts/old-begin.lua: no file names it',
    ]);
  });

  it('find optional peers that the entry loads', () => {
    const entry = at('src/index.ts', `export * from './nest/a.js'; const b = () => import('./redis/b.js');`);
    const lazy = at('src/redis/b.ts', `import { Redis } from 'ioredis';`);
    const typed = at('src/nest/a.ts', `import type { ZodType } from 'zod'; import { type z } from 'zod';`);
    expect(optionalPeerFaults([entry, lazy, typed], 'src/index.ts')).toEqual([]);
    const eager = at('src/nest/a.ts', `import { z } from 'zod';`);
    expect(optionalPeerFaults([entry, lazy, eager], 'src/index.ts')).toHaveLength(1);
  });
});

describe('the banned globals', () => {
  const uses = ['Date.now()', 'new Date()', 'Math.random()', "Math['random']()", 'setTimeout(f, 1)', 'setInterval(f, 1)'];
  uses.push('setImmediate(f)', 'process.nextTick(f)', 'performance.now()', 'crypto.randomUUID()', 'globalThis.Date');
  it.each(uses)('find %s', (text) => {
    expect(bannedGlobalFaults(at('src/core/a.ts', text))).not.toEqual([]);
  });
  it.each([
    'queueMicrotask(f)',
    'worker.process(x)',
    'const o = { process: 1, Date: 2 }',
    'interface A { crypto: string }',
    'Math.max(1, 2)',
    'let d: Date',
    'x instanceof Date',
    'Date.prototype.toJSON',
  ])('leave alone %s', (text) => {
    expect(bannedGlobalFaults(at('src/core/a.ts', text))).toEqual([]);
  });
});

describe('the timers', () => {
  it.each([
    'setTimeout(f, 1)',
    'globalThis.setInterval(f, 1)',
    'setImmediate(f)',
    'queueMicrotask(f)',
    'process.nextTick(f)',
    `import { setTimeout as sleep } from 'node:timers/promises';`,
  ])('find %s', (text) => {
    expect(timerFaults(at('src/grpc/a.ts', text))).toHaveLength(1);
  });

  it.each(['clock.setTimer(1, f)', 'clearTimeout(t)', '// setTimeout(f)', 'let t: typeof setTimeout;'])(
    'leave alone %s',
    (text) => {
      expect(timerFaults(at('src/grpc/a.ts', text))).toEqual([]);
    },
  );
});

describe('the sizes', () => {
  const functionOf = (count: number): string => `class A {\n  m() {\n${lines(count - 2)}\n  }\n}`;

  it('find a function and a file that are one line too long', () => {
    expect(sizeFaults(at('a.ts', functionOf(FUNCTION_LINES_MAX)))).toEqual([]);
    expect(sizeFaults(at('a.ts', functionOf(FUNCTION_LINES_MAX + 1)))).toHaveLength(1);
    expect(sizeFaults(at('a.ts', `const f = () => {\n${lines(FUNCTION_LINES_MAX)}\n};`))).toHaveLength(1);
    expect(sizeFaults(at('a.ts', `${lines(FILE_LINES_MAX)}\n`))).toEqual([]);
    expect(sizeFaults(at('a.ts', `${lines(FILE_LINES_MAX + 1)}\n`))).toHaveLength(1);
  });
});

describe('the words', () => {
  it.each(['let a: any;', 'const b = c as any;', 'type D = Record<string, any>;'])('any is found in: %s', (text) => {
    expect(anyFaults(at('a.ts', text))).toHaveLength(1);
  });

  it('any is no fault inside a word, a comment or a string', () => {
    expect(anyFaults(at('a.ts', `// any\nconst many = 'any'; type Any = unknown;`))).toEqual([]);
  });

  it('marks of unfinished work are found', () => {
    expect(unfinishedFaults(at('a.ts', `// ${'TO'}${'DO'}: later`))).toHaveLength(1);
    expect(unfinishedFaults(at('a.ts', `const todoList = [];`))).toEqual([]);
  });
});

describe('the pages', () => {
  const page = '# t\n| code | x |\n| --- | --- |\n| `A` | 1 |\n| B | 2 |\n';

  it('are compared both ways, and a double row is found', () => {
    expect(firstColumn(page)).toEqual(['A', 'B']);
    expect(differences(firstColumn(page), ['A', 'B'], 'p')).toEqual([]);
    expect(differences(firstColumn(page), ['A', 'C'], 'p')).toEqual(['p lacks C', 'p has B, which nothing else knows']);
    expect(differences(['A', 'A'], ['A'], 'p')).toEqual(['p has A twice']);
  });

  it('invariant ids are found as words of their own', () => {
    expect(invariantIdsIn('I1, (I2f) and L3; not AI1, I10, x.I4 or L2x')).toEqual(['I1', 'I2f', 'L3']);
  });
});

describe('retired words', () => {
  it.each([
    ['src/a.ts', '/** Whom the ring names takes it. */', 2],
    ['src/a.ts', 'f(); // the beat is late', 1],
    ['src/a.ts', '/**\n * Returns what\n * nobody was told.\n */', 2],
    ['src/a.ts', '// a letter that was buried', 2],
    ['src/a.lua', 'local x = 1 -- of a ghost, see design §3', 2],
  ])('are found in a comment of %s: %s', (path, text, count) => {
    expect(retiredWordFaults(at(path, text))).toHaveLength(count);
  });

  it.each([
    ['src/a.ts', "const told = 'the beat of nobody';"],
    ['src/a.ts', '// a dead letter; 128 letters, digits; ASCII letters'],
    ['src/a.ts', '/** The trace event `buried` and the field "letter". */'],
    ['src/a.lua', "local ring = 'ghost'"],
  ])('are left alone in code, quotes and other meanings, in %s: %s', (path, text) => {
    expect(retiredWordFaults(at(path, text))).toEqual([]);
  });
});
