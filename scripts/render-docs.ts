/** Renders the pages of docs/ that are generated from tables in the code. `npm run docs` writes them, test/tidy compares them. */
export interface ErrorRow {
  readonly retryable: boolean;
  readonly definite: boolean;
  readonly meaning: string;
  readonly action: string;
}

export interface ConfigRow {
  readonly path: string;
  readonly default: string;
  readonly unit: string;
  readonly allowed: string;
  readonly guidance: string;
}

const cell = (text: string): string => (text === '' ? '-' : text.replaceAll('|', '\\|').replaceAll('\n', ' '));

const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');

const generated = (source: string): string =>
  `<!-- Generated from ${source} by \`npm run docs\`; edit that file, not this one. -->`;

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

export function renderErrors(errors: Readonly<Record<string, ErrorRow>>): string {
  const rows = Object.entries(errors).map(([code, e]) => [
    `\`${code}\``,
    yesNo(e.retryable),
    yesNo(e.definite),
    e.meaning,
    e.action,
  ]);
  return `# Error codes

${generated('src/core/errors.ts')}

Every failure is an \`AtomicQueuesError\` with a \`code\`; handle it by the code, never by the text.
**Retryable**: the same call may succeed later, unchanged. **Definite**: the message was certainly not accepted, or certainly
not run, so that sending it again cannot make it run twice. A single error may say otherwise than its row: read its own
\`definite\` (a timeout is definite after a successful withdraw; the error of a reply's schema is not).

${table(['code', 'retryable', 'definite', 'what it means', 'what to do'], rows)}
`;
}

/** Formats a single value as code. Returns a phrase, '-' and '' unchanged. */
const codeValue = (text: string): string => (text === '-' || /[ `]/.test(text) ? text : text && `\`${text}\``);

export function renderConfig(fields: readonly ConfigRow[]): string {
  const rows = fields.map((f) => [`\`${f.path}\``, codeValue(f.default), f.unit, f.allowed, f.guidance]);
  return `# Configuration

${generated('src/core/config.ts')}

The argument of \`AtomicQueuesModule.forRoot\`. A wrong one is refused at the start with one message that lists every fault.

${table(['field', 'default', 'unit', 'allowed', 'guidance'], rows)}
`;
}
