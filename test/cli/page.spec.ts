import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { cli, compileCli } from './support.js';

const PAGE = readFileSync('docs/cli.md', 'utf8');
const COMMANDS = ['status', 'entity show', 'doctor', 'introspect', 'generate', 'dlq list', 'dlq show', 'dlq replay', 'dlq purge'];

const optionsIn = (text: string): readonly string[] => [...new Set(text.match(/--[a-z][a-z-]*/g) ?? [])].sort();

describe('the page of the command line', () => {
  beforeAll(compileCli, 60_000);

  it('names every command and every option that there is, and no other', async () => {
    const helps = await Promise.all(COMMANDS.map((command) => cli(...command.split(' '), '--help')));
    expect(helps.map(({ code }) => code)).toEqual(COMMANDS.map(() => 0));
    const known = optionsIn(helps.map(({ stdout }) => stdout).join('\n')).filter((option) => option !== '--help');
    // -o is the short form that the page shows.
    expect(optionsIn(PAGE)).toEqual(known.filter((option) => option !== '--output'));
    const rows = [...PAGE.matchAll(/^\| `([a-z]+(?: (?:show|list|replay|purge))?)/gm)].map(([, command]) => command);
    expect([...rows].sort()).toEqual([...COMMANDS].sort());
  }, 60_000);
});
