/** A mutant: one small change of one source file, under a name that outlives unrelated edits. */
import { createHash } from 'node:crypto';

export type Area = 'core' | 'runtime' | 'lua';

/** Replaces the text from `start` to `end` (exclusive) by `to`. */
export interface Change {
  readonly operator: string;
  readonly start: number;
  readonly end: number;
  readonly to: string;
}

/** A change, and the function or method that contains it. */
export interface Site extends Change {
  readonly scope: string;
}

export interface Mutant extends Change {
  /** `<file>#<function>:<operator>:<hash>`, see `mutantsOf`. */
  readonly id: string;
  readonly path: string;
  readonly area: Area;
  readonly line: number;
  /** The changed lines before and after, each as one line without indentation. */
  readonly before: string;
  readonly after: string;
}

export const changed = (text: string, { start, end, to }: Change): string => text.slice(0, start) + to + text.slice(end);

const flat = (text: string): string => text.replace(/\s+/g, ' ').trim();

const HASH_LENGTH = 6;

/**
 * Returns the sites as mutants, in the order of the text. The hash of an id is of the line, of the place in it, and of the change. So an
 * id stays the same under edits of other lines. Equal lines of one function get a number behind the hash.
 */
export function mutantsOf(path: string, area: Area, text: string, sites: readonly Site[]): readonly Mutant[] {
  const taken = new Map<string, number>();
  return [...sites]
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map(({ scope, ...change }) => {
      const lineStart = text.lastIndexOf('\n', change.start - 1) + 1;
      const nextBreak = text.indexOf('\n', change.end);
      const lineEnd = nextBreak < 0 ? text.length : nextBreak;
      const before = flat(text.slice(lineStart, lineEnd));
      const column = text.slice(lineStart, change.start).trimStart().length;
      const hash = createHash('sha1')
        .update(JSON.stringify([before, column, flat(text.slice(change.start, change.end)), change.to]))
        .digest('hex')
        .slice(0, HASH_LENGTH);
      const name = `${path}#${scope}:${change.operator}:${hash}`;
      const ordinal = (taken.get(name) ?? 0) + 1;
      taken.set(name, ordinal);
      return {
        ...change,
        id: ordinal === 1 ? name : `${name}.${ordinal}`,
        path,
        area,
        line: text.slice(0, change.start).split('\n').length,
        before,
        after: flat(text.slice(lineStart, change.start) + change.to + text.slice(change.end, lineEnd)),
      };
    });
}
