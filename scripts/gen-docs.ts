// npm run docs: writes the generated pages of docs/. With --check it writes nothing and fails if a page is stale.
import { readFileSync, writeFileSync } from 'node:fs';
import { CONFIG_FIELDS } from '../src/core/config.js';
import { ERRORS } from '../src/core/errors.js';
import { renderConfig, renderErrors } from './render-docs.js';

const PAGES = [
  ['docs/errors.md', renderErrors(ERRORS)],
  ['docs/config.md', renderConfig(CONFIG_FIELDS)],
] as const;

function currentText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const isCheck = process.argv.includes('--check');
for (const [path, text] of PAGES) {
  if (currentText(path) === text) continue;
  if (isCheck) {
    process.stderr.write(`${path} is not what its table says: run "npm run docs"\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, text);
    process.stdout.write(`wrote ${path}\n`);
  }
}
