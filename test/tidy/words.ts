import ts from 'typescript';
import { lineOf, parse, type Source } from './source.js';

/** Words that docs/glossary.md has a term for, or that stand in the place of the component that does something. */
const RETIRED: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\b(rings?|rung)\b/i, 'rendezvous hashing, preferred node, wake'],
  [/\b(beats?|pulses?)\b/i, 'heartbeat'],
  [/\b(bury|buries|buried)\b/i, 'evict'],
  [/\bghosts?\b/i, 'zombie'],
  [/\btwins?\b/i, 'duplicate serverId, lockstep'],
  [/(?<!dead[ -]|ASCII |\d |three )\bletters?\b(?!, digits)/i, 'dead letter'],
  [/\bbequeath\w*\b/i, 'add a dead letter'],
  [/\bgranules?\b/i, 'resolution'],
  [/\bweather\b/i, 'conditions, fault window'],
  [/\bblows?\b/i, 'process fault'],
  [/\b(told|tells?)\b/i, 'returns, reports, publishes'],
  [/\b(nobody|whoever|whom|everybody|somebody)\b/i, 'the name of the component'],
  [/\banew\b/i, 'again'],
  [/\b(design|spec) §/i, 'a page of docs/, or the thing itself'],
];

/** Comments of a TypeScript file by their position. */
function commentsOf(file: ts.SourceFile): ReadonlyMap<number, string> {
  const { text } = file;
  const comments = new Map<number, string>();
  const visit = (node: ts.Node): void => {
    const ranges = [
      ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
    ];
    for (const { pos, end } of ranges) comments.set(pos, text.slice(pos, end));
    for (const child of node.getChildren(file)) visit(child);
  };
  visit(file);
  return comments;
}

function linesOf(source: Source): readonly (readonly [line: number, text: string])[] {
  const lines = source.text.split('\n');
  if (source.path.endsWith('.lua'))
    return lines.flatMap((text, i) => (text.includes('--') ? [[i + 1, text.slice(text.indexOf('--'))] as const] : []));
  const file = parse(source);
  return [...commentsOf(file)].flatMap(([pos, comment]) =>
    comment.split('\n').map((text, i) => [lineOf(file, pos) + i, text] as const),
  );
}

/** What is quoted is a name that the code or the log has. */
const unquoted = (text: string): string => text.replace(/`[^`]*`|'[^']*'|"[^"]*"/g, '');

/** Comments that use a retired word. */
export function retiredWordFaults(source: Source): readonly string[] {
  return linesOf(source).flatMap(([line, text]) =>
    RETIRED.filter(([word]) => word.test(unquoted(text))).map(
      ([word, instead]) => `${source.path}:${line} says "${word.exec(text)?.[0]}": say ${instead}`,
    ),
  );
}
