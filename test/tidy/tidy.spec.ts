import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { arrowFaults, optionalPeerFaults, unusedFaults, unusedLuaFaults } from './arrows.js';
import { anyFaults, bannedGlobalFaults, sizeFaults, timerFaults, unfinishedFaults } from './rules.js';
import { readSources } from './source.js';
import { retiredWordFaults } from './words.js';

const src = readSources(['src'], '.ts');
const lua = readSources(['src'], '.lua');
// sim/ambient.ts is the simulator's one door to the real process; its header says what may use it. src/core/shared.ts keeps what
// several copies of the package share in globalThis, and takes no time or chance from it.
const deterministic = readSources(['src/core', 'src/ports', 'src/runtime', 'sim'], '.ts').filter(
  ({ path }) => path !== 'sim/ambient.ts' && path !== 'src/core/shared.ts',
);
const written = ['src', 'test', 'demo', 'bench', 'examples', 'scripts', 'sim', 'chaos'];

type ExportEntry = string | { readonly [condition: string]: ExportEntry };

/** The sources behind what package.json exports or runs. */
function entries(): readonly string[] {
  const pkg = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: ExportEntry; bin?: Record<string, string> };
  const targets = (entry: ExportEntry): string[] => (typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(targets));
  const found = [...targets(pkg.exports), ...Object.values(pkg.bin ?? {})]
    .map((target) => /^(?:\.\/)?dist\/esm\/(.*?)(?:\.d\.ts|\.js)$/.exec(target)?.[1])
    .filter((name) => name !== undefined)
    .map((name) => `src/${name}.ts`);
  return [...new Set(found)];
}

describe('the code', () => {
  it('is there to be checked', () => {
    expect(src.length).toBeGreaterThan(10);
    expect(deterministic.length).toBeGreaterThan(5);
    expect(entries()).toContain('src/index.ts');
  });

  it('imports only along the arrows', () => {
    expect(arrowFaults(src)).toEqual([]);
  });

  it('loads no optional peer with the entry', () => {
    expect(optionalPeerFaults(src, 'src/index.ts')).toEqual([]);
  });

  it('takes time, chance and timers from ports in core, ports, runtime and sim', () => {
    expect(deterministic.flatMap(bannedGlobalFaults)).toEqual([]);
  });

  it('makes timers outside of the async contexts of callers', () => {
    const mayMakeThem = [
      'src/system/',
      // Processes and threads of their own, in which nobody calls.
      ...['src/cli/', 'src/redis/heartbeat-worker.ts'],
      // Ends the wait of its own caller, and nobody else's.
      'src/nest/outgoing.ts',
      // Checks a payload where its message runs: no caller is on the stack.
      'src/nest/standard-schema.ts',
    ];
    const others = src.filter(({ path }) => !mayMakeThem.some((start) => path.startsWith(start)));
    expect(others.length).toBeGreaterThan(50);
    expect(others.flatMap(timerFaults)).toEqual([]);
  });

  it('has functions and files of a size to be read', () => {
    expect(src.filter(({ path }) => !path.endsWith('.gen.ts')).flatMap(sizeFaults)).toEqual([]);
  });

  it('has no any', () => {
    expect(src.flatMap(anyFaults)).toEqual([]);
  });

  it('has no file that nobody imports', () => {
    expect([...unusedFaults(src, entries()), ...unusedLuaFaults(lua, [...src, ...readSources(['scripts'], '.mjs')])]).toEqual([]);
  });

  it('says in its comments what docs/glossary.md has a term for', () => {
    // The tests come next.
    const folders = ['src', 'sim', 'chaos', 'bench', 'demo', 'scripts'];
    const spoken = [...folders.flatMap((folder) => readSources([folder], '.ts')), ...lua];
    expect(spoken.length).toBeGreaterThan(200);
    expect(spoken.filter(({ path }) => !path.endsWith('.gen.ts')).flatMap(retiredWordFaults)).toEqual([]);
  });

  it('has no mark of unfinished work', () => {
    expect([...readSources(written, '.ts'), ...readSources(written, '.mjs'), ...lua].flatMap(unfinishedFaults)).toEqual([]);
  });
});
