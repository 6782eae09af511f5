/** The output of a command, and its questions to the user. */
import { createInterface } from 'node:readline';

/** A mistake of the caller. Printed as one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A command that could not be done. Printed as one line, exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export type Colour = 'red' | 'yellow' | 'green' | 'bold' | 'dim';

const CODES: Readonly<Record<Colour, string>> = { red: '31', yellow: '33', green: '32', bold: '1', dim: '2' };

export class Terminal {
  /** Aborted by the first SIGINT. */
  readonly signal: AbortSignal;
  readonly #isColoured: boolean;
  readonly #isLive: boolean;
  #hasProgress = false;

  constructor(
    private readonly json: boolean,
    signal: AbortSignal,
  ) {
    this.signal = signal;
    this.#isColoured = !json && process.stdout.isTTY === true && !process.env.NO_COLOR;
    this.#isLive = process.stderr.isTTY === true;
  }

  /** Prints the result of a command: with --json `value` as one line, else `text`. */
  answer(value: object, text: () => string): void {
    this.#endProgress();
    process.stdout.write(`${this.json ? jsonOf(value) : text()}\n`);
  }

  note(text: string): void {
    this.#endProgress();
    process.stderr.write(`${text}\n`);
  }

  /** Prints a line that the next progress line overwrites. Prints nothing if standard error is no terminal. */
  progress(text: string): void {
    if (!this.#isLive) return;
    this.#hasProgress = true;
    process.stderr.write(`\r${text}\x1b[K`);
  }

  #endProgress(): void {
    if (this.#hasProgress) process.stderr.write('\n');
    this.#hasProgress = false;
  }

  paint(colour: Colour, text: string): string {
    return this.#isColoured ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
  }

  /** Resolves with true if the user at the terminal agrees, or with `--yes`. Throws a UsageError if neither is there. */
  async confirm(question: string, yes: boolean): Promise<boolean> {
    if (yes) return true;
    if (process.stdin.isTTY !== true || process.stderr.isTTY !== true)
      throw new UsageError(`${question} There is no terminal to ask on: add --yes, or --dry-run to only count`);
    if (this.signal.aborted) return false;
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const close = (): void => lines.close();
    this.signal.addEventListener('abort', close);
    const answer = await new Promise<string | undefined>((resolve) => {
      // Ctrl-C, Ctrl-D and SIGINT close the readline interface.
      lines.once('close', () => resolve(undefined));
      lines.question(`${question} [y/N] `, resolve);
    });
    this.signal.removeEventListener('abort', close);
    if (answer === undefined) process.stderr.write('\n');
    lines.close();
    return answer !== undefined && /^y(es)?$/i.test(answer.trim());
  }

  /** Formats columns with two spaces between them. The last column is not padded. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
    const line = (cells: readonly string[]): string =>
      cells
        .map((cell, i) => (i === head.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd();
    return [this.paint('bold', line(head)), ...rows.map(line)].join('\n');
  }
}

/** Returns `text` as one line of at most `max` characters, without control characters that would move a terminal's cursor. */
export function shortened(text: string, max: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the control characters are the point
  const flat = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
  return flat.length <= max ? flat : `${flat.slice(0, max - 1)}…`;
}

/** Quotes `text`, if needed, so that a shell reads it as one word. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${shortened(text, Number.POSITIVE_INFINITY).replaceAll("'", `'\\''`)}'`;

/** JSON.stringify, but also escapes the control characters that it leaves in. They would move a terminal's cursor. */
export const jsonOf = (value: unknown): string =>
  JSON.stringify(value).replace(/[\x7f-\x9f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`);

export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

export const timeText = (ms: number): string => new Date(ms).toISOString();

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
