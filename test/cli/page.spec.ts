import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli, compileCli } from './support.js';

const PAGE = readFileSync('docs/cli.md', 'utf8');
const COMMANDS = ['status', 'entity show', 'doctor', 'introspect', 'generate', 'dlq list', 'dlq show', 'dlq replay', 'dlq purge'];

const optionsIn = (text: string): readonly string[] => [...new Set(text.match(/--[a-z][a-z-]*/g) ?? [])].sort();

beforeAll(compileCli, 60_000);

describe('the command line', () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(await cli('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('the page of the command line', () => {
  it('names every command and every option that there is, and no other', async () => {
    const helps = await Promise.all(['', ...COMMANDS].map((command) => cli(...command.split(' ').filter(Boolean), '--help')));
    expect(new Set(helps.map(({ code }) => code))).toEqual(new Set([0]));
    const known = optionsIn(helps.map(({ stdout }) => stdout).join('\n'));
    // -o is the short form that the page shows.
    expect(optionsIn(PAGE)).toEqual(known.filter((option) => option !== '--output'));
    const rows = [...PAGE.matchAll(/^\| `([a-z]+(?: (?:show|list|replay|purge))?)/gm)].map(([, command]) => command);
    expect([...rows].sort()).toEqual([...COMMANDS].sort());
  });
});
