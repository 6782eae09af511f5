import { describe, expect, it } from 'vitest';
import { sitesOfLua } from './lua-operators.js';
import { changed, mutantsOf, type Site } from './mutant.js';
import { otherNumber, sitesOfTs, transpiled } from './operators.js';

const ts = (text: string): readonly Site[] => sitesOfTs('x.ts', text);

/** What a snippet becomes, by each of its changes, with the operator before it. */
const made = (text: string, sites: readonly Site[]): readonly string[] =>
  sites.map((site) => `${site.operator}: ${changed(text, site)}`);

const ofTs = (text: string): readonly string[] => made(text, ts(text));
const ofLua = (text: string): readonly string[] => made(text, sitesOfLua(text));

describe('the operators on TypeScript', () => {
  it.each([
    ['boundary', 'f = a < b;', ['f = a <= b;']],
    ['boundary', 'f = a >= b;', ['f = a > b;']],
    ['equality', 'f = a === b;', ['f = a !== b;']],
    ['logic', 'f = a && b;', ['f = a || b;']],
    ['default', 'f = a ?? b;', ['f = a;']],
    ['default', 'f ??= a;', ['f = a;']],
    ['arithmetic', 'f = a + b;', ['f = a - b;']],
    ['arithmetic', 'f = a++;', ['f = a--;']],
    ['minmax', 'f = Math.min(a, b);', ['f = Math.max(a, b);']],
    ['quantifier', 'f = a.some(b);', ['f = a.every(b);']],
    ['chain', 'f = a?.b;', ['f = a.b;']],
    ['chain', 'f = a?.[b];', ['f = a[b];']],
    ['boolean', 'f = true;', ['f = false;']],
    ['number', 'f = 1;', ['f = 0;']],
    ['negate', 'f = a ? b : c;', ['f = !(a) ? b : c;']],
    ['negate', 'f = !a ? b : c;', ['f = a ? b : c;']],
  ])('%s: %s', (operator, text, expected) => {
    const found = ofTs(text).filter((one) => one.startsWith(operator));
    expect(found).toEqual(expected.map((one) => `${operator}: ${one}`));
    // Nothing else but the statement itself, which can be left out.
    expect(ofTs(text).filter((one) => !one.startsWith(operator) && one !== 'dropAssign: ;')).toEqual([]);
  });

  it('leave statements out', () => {
    expect(ofTs('timer.cancel();')).toEqual(['dropCall: ;']);
    expect(ofTs('void go();')).toEqual(['dropCall: ;']);
    expect(ofTs('this.x = undefined;')).toEqual(['dropAssign: ;']);
    expect(ofTs('delete a.b;')).toEqual(['dropAssign: ;']);
    expect(ofTs('function f() { if (a) return; }')).toEqual([
      'negate: function f() { if (!(a)) return; }',
      'dropGuard: function f() { ; }',
    ]);
    expect(ofTs('class A extends B { constructor() { super(); } }')).toEqual([]);
  });

  it('swap the jumps of loops, and not those of a switch', () => {
    expect(ofTs('for (;;) continue;')).toEqual(['jump: for (;;) break;']);
    expect(ofTs('for (;;) { break; }')).toEqual(['jump: for (;;) { continue; }']);
    expect(ofTs('switch (a) { case b: break; }')).toEqual([]);
  });

  it('take 0 for 1, small integers off by one, and all else for 0', () => {
    expect([0, 1, 2, 9, 10, 0.25].map(otherNumber)).toEqual(['1', '0', '3', '10', '0', '0']);
  });

  it('leave types, imports, texts and named tables alone', () => {
    expect(ofTs("import a from './b.js';\ntype A = 1 | true;\ninterface B { a: 0 }\nlet c: 1;")).toEqual([]);
    expect(ofTs("f('a' + b, `$" + '{a ?? 1}`);')).toEqual(['dropCall: ;']);
    expect(sitesOfTs('x.ts', 'const A = { b: 1 };\nconst c = 1;', new Set(['A'])).map(({ scope }) => scope)).toEqual(['c']);
  });

  it('name the function or the method around', () => {
    const text = 'class A { b = () => 1; c() { const f = () => 2; } }\nconst d = 3;\nfunction e() { return 4; }\ng(5);';
    const scopes = ts(text).filter(({ operator }) => operator === 'number');
    expect(scopes.map(({ scope }) => scope)).toEqual(['A.b', 'A.c', 'd', 'e', 'file']);
  });

  it('make programs, or undefined', () => {
    expect(transpiled('x.ts', 'const a: number = 1;')).toContain('const a = 1;');
    expect(transpiled('x.ts', 'const a = ;')).toBeUndefined();
  });
});

describe('the operators on Lua', () => {
  it.each([
    ['return a < b', ['boundary: return a <= b']],
    ['return a ~= b', ['equality: return a == b']],
    ['return a and b', ['logic: return a or b']],
    ['return a + 1', ['arithmetic: return a - 1', 'number: return a + 0']],
    ['return -a', []],
    ["return match(a, '^1 < 2') -- 3 < 4", []],
    ["call('HDEL', KEPT, a)", ['dropCall: ']],
    ["if a then call('ZREM', b) end", ['dropCall: if a then  end', "negate: if not (a) then call('ZREM', b) end"]],
    ['e.first = s', ['dropAssign: ']],
    ['a, b.c = d, nil', ['dropAssign: ']],
    ['local a = b', []],
    ['if a then return b end', ['negate: if not (a) then return b end', 'dropGuard: ']],
    ['if not a then return b end', ['negate: if a then return b end', 'dropGuard: ']],
    ['return true', ['boolean: return false']],
  ])('%s', (text, expected) => {
    expect(ofLua(text)).toEqual(expected);
  });

  it('name the function around', () => {
    const text = 'local a = 1\nlocal function f()\n  return 2\nend\nlocal b = 3\n';
    expect(sitesOfLua(text).map(({ scope }) => scope)).toEqual(['file', 'f', 'file']);
  });
});

describe('the id of a mutant', () => {
  const idsOf = (text: string): readonly string[] => mutantsOf('x.ts', 'core', text, ts(text)).map(({ id }) => id);
  const text = 'function f() {\n  if (a < b) return 1;\n  return a < b ? 1 : 0;\n}\n';

  it('names file, function and operator, and is its own', () => {
    expect(idsOf(text)[0]).toMatch(/^x\.ts#f:dropGuard:[0-9a-f]{6}$/);
    expect(new Set(idsOf(text)).size).toBe(idsOf(text).length);
  });

  it('stays as it is when other lines change', () => {
    const edited = `const before = 7;\n${text.replace('{\n', '{\n  if (c < d) return 2;\n').replaceAll('  ', '    ')}`;
    expect(idsOf(edited)).toEqual(expect.arrayContaining([...idsOf(text)]));
  });

  it('is another one when its line changes', () => {
    expect(idsOf(text.replace('a < b)', 'a < c)'))).not.toEqual(idsOf(text));
  });

  it('differs for equal lines of a function', () => {
    const [first, second] = idsOf('function f() {\n  go();\n  go();\n}\n');
    expect(second).toBe(`${first}.2`);
  });

  it('comes with its line, before and after', () => {
    const [mutant] = mutantsOf('x.ts', 'core', 'a;\n  f = b <\n    c;\n', ts('a;\n  f = b <\n    c;\n').slice(1));
    expect(mutant).toMatchObject({ line: 2, before: 'f = b <', after: 'f = b <=' });
  });
});
