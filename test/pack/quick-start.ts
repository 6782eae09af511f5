import { existsSync, readFileSync } from 'node:fs';

export interface QuickStart {
  readonly code: string;
  /** The line that running it prints, from its own `// prints:` comment. */
  readonly prints: string;
}

/** The ```ts block of the page whose first line is `// quick-start`. Throws where it does not say what it prints. */
export function quickStartOf(readme: string): QuickStart | undefined {
  for (const [, code = ''] of readme.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```$/gm)) {
    if (!code.startsWith('// quick-start')) continue;
    const prints = /^\s*(?:.*\s)?\/\/ prints: (.+)$/m.exec(code)?.[1];
    if (prints === undefined) throw new Error('the quick start has no "// prints: <line>" comment');
    return { code, prints: prints.trim() };
  }
  return undefined;
}

/** README's quick start; a fixture of the same shape only while there is no README. */
export function readQuickStart(): QuickStart {
  const path = existsSync('README.md') ? 'README.md' : 'test/pack/quick-start.fixture.md';
  const found = quickStartOf(readFileSync(path, 'utf8'));
  if (found === undefined) throw new Error(`${path} has no \`\`\`ts block that starts with "// quick-start"`);
  return found;
}
