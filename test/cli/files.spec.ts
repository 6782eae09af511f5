import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { importEndingIn } from '../../src/cli/files.js';

describe('how generated files import each other', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'aq-files-'));
    mkdirSync(join(root, 'src'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const manifest = (dir: string, text: string): void => writeFileSync(join(root, dir, 'package.json'), text);

  it.each([
    ['{"type":"module"}', '.js'],
    ['{"type":"commonjs"}', ''],
    ['{}', ''],
    ['null', ''],
  ])('is that of the nearest package.json: %s', (text, ending) => {
    manifest('', text);
    expect(importEndingIn(join(root, 'src/generated/deep'))).toBe(ending);
    expect(importEndingIn(root)).toBe(ending);
  });

  it('is not that of a farther one', () => {
    manifest('', '{"type":"module"}');
    manifest('src', '{"type":"commonjs"}');
    expect(importEndingIn(join(root, 'src/generated'))).toBe('');
  });

  it('cannot be known from a package.json that cannot be read', () => {
    manifest('', '{');
    expect(() => importEndingIn(root)).toThrow(/^cannot read .*package\.json: /);
  });
});
