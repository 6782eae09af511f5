/** Mutation operators on Lua, by its tokens and lines: the scripts keep one statement on one line. */
import type { Change, Site } from './mutant.js';
import { otherNumber } from './operators.js';

interface Token {
  readonly text: string;
  readonly kind: 'name' | 'number' | 'string' | 'sign';
  readonly start: number;
  readonly end: number;
}

const TOKEN =
  /--[^\n]*|(?<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|(?<name>[A-Za-z_]\w*)|(?<number>\d+(?:\.\d+)?(?:e\d+)?)|(?<sign>\.\.\.?|[=~<>]=|[^\s\w])/g;

/** The tokens of a text, without comments. */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (const { 0: found, index, groups } of text.matchAll(TOKEN)) {
    const kind = (['name', 'number', 'string', 'sign'] as const).find((one) => groups?.[one] !== undefined);
    if (kind !== undefined) tokens.push({ text: found, kind, start: index, end: index + found.length });
  }
  return tokens;
}

const SWAPPED: ReadonlyMap<string, readonly [operator: string, to: string]> = new Map([
  ['<', ['boundary', '<=']],
  ['<=', ['boundary', '<']],
  ['>', ['boundary', '>=']],
  ['>=', ['boundary', '>']],
  ['==', ['equality', '~=']],
  ['~=', ['equality', '==']],
  ['and', ['logic', 'or']],
  ['or', ['logic', 'and']],
  ['+', ['arithmetic', '-']],
  ['-', ['arithmetic', '+']],
  ['true', ['boolean', 'false']],
  ['false', ['boolean', 'true']],
]);

const KEYWORDS = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(' '),
);

/** Whether a value ends with that token, so that a sign behind it has two operands. */
const endsValue = (token: Token | undefined): boolean =>
  token !== undefined &&
  (token.kind === 'number' ||
    token.kind === 'string' ||
    (token.kind === 'name' && !KEYWORDS.has(token.text)) ||
    [')', ']', '}'].includes(token.text));

function ofToken(token: Token, before: Token | undefined, after: Token | undefined): Change[] {
  const at = { start: token.start, end: token.end };
  if (token.kind === 'number') return [{ ...at, operator: 'number', to: otherNumber(Number(token.text)) }];
  if (token.text === 'not' && after !== undefined) return [{ start: token.start, end: after.start, operator: 'negate', to: '' }];
  const swapped = token.kind === 'string' ? undefined : SWAPPED.get(token.text);
  if (swapped === undefined) return [];
  const [operator, to] = swapped;
  return operator === 'arithmetic' && !endsValue(before) ? [] : [{ ...at, operator, to }];
}

const STATEMENT_AFTER = new Set(['then', 'else', 'do']);
const OPENS = new Set(['(', '[', '{']);
const CLOSES = new Set([')', ']', '}']);

/** The index behind the bracket that closes the one at `open`; undefined if it is not among these tokens. */
function behindBracket(tokens: readonly Token[], open: number): number | undefined {
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    const { kind, text } = tokens[i] as Token;
    if (kind === 'sign' && OPENS.has(text)) depth++;
    if (kind === 'sign' && CLOSES.has(text) && --depth === 0) return i + 1;
  }
  return undefined;
}

const isBalanced = (tokens: readonly Token[]): boolean =>
  tokens.reduce((n, { kind, text }) => n + (kind !== 'sign' ? 0 : OPENS.has(text) ? 1 : CLOSES.has(text) ? -1 : 0), 0) === 0;

/** Calls whose value is not used. */
function ofCalls(line: readonly Token[]): Change[] {
  const changes: Change[] = [];
  for (const [i, { kind, text, start }] of line.entries()) {
    if (kind !== 'name' || KEYWORDS.has(text) || line[i + 1]?.text !== '(') continue;
    if (i > 0 && !STATEMENT_AFTER.has((line[i - 1] as Token).text)) continue;
    const behind = behindBracket(line, i + 1);
    if (behind === undefined) continue;
    const next = line[behind];
    if (next !== undefined && next.text !== 'end' && next.text !== 'else') continue;
    changes.push({ operator: 'dropCall', start, end: (line[behind - 1] as Token).end, to: '' });
  }
  return changes;
}

const VALUES = new Set(['true', 'false', 'nil']);

/** `name = value` and `a, b.c = value, value` that fill their line. */
function ofAssignment(line: readonly Token[]): Change[] {
  const sign = line.findIndex(({ text, kind }) => kind === 'sign' && text === '=');
  const [first, last, targets] = [line[0], line.at(-1), line.slice(0, Math.max(0, sign))];
  if (first === undefined || last === undefined || targets.length === 0) return [];
  const areTargets = targets.every(({ kind, text }) => (kind === 'name' ? !KEYWORDS.has(text) : text !== '(' && text !== '{'));
  const isWhole = isBalanced(line) && isBalanced(targets) && (endsValue(last) || VALUES.has(last.text));
  return areTargets && isWhole ? [{ operator: 'dropAssign', start: first.start, end: last.end, to: '' }] : [];
}

/** `if ... then return ... end` on one line, and its condition. */
function ofIf(line: readonly Token[], text: string): Change[] {
  const [first, last] = [line[0], line.at(-1)];
  if (first === undefined || last === undefined || (first.text !== 'if' && first.text !== 'elseif')) return [];
  const then = line.findIndex(({ text }) => text === 'then');
  if (then < 2) return [];
  const condition = line.slice(1, then);
  const [start, end] = [(condition[0] as Token).start, (condition.at(-1) as Token).end];
  const isEquality = condition.some(({ text }) => text === '==' || text === '~=');
  const isPlain = !condition.some(({ text }) => text === 'and' || text === 'or');
  const isNot = isPlain && condition[0]?.text === 'not';
  const isDone = isPlain && (isEquality || isNot);
  const to = `not (${text.slice(start, end)})`;
  const changes: Change[] = isDone ? [] : [{ operator: 'negate', start, end, to }];
  const does = line[then + 1]?.text;
  const isGuard = first.text === 'if' && last.text === 'end' && (does === 'return' || does === 'break');
  const isOne = !line.some(({ text }) => text === 'else' || text === 'elseif');
  if (isGuard && isOne) changes.push({ operator: 'dropGuard', start: first.start, end: last.end, to: '' });
  return changes;
}

/** The functions of a file start and end in its first column. */
function scopesOf(text: string): (offset: number) => string {
  const starts = [...text.matchAll(/^(?:local )?function ([\w.:]+)|^end\b/gm)].map(({ index, 1: name }) => ({ index, name }));
  return (offset) => starts.findLast(({ index }) => index <= offset)?.name ?? 'file';
}

export function sitesOfLua(text: string): readonly Site[] {
  const scopeAt = scopesOf(text);
  const tokens = tokensOf(text);
  const changes = tokens.flatMap((token, i) => ofToken(token, tokens[i - 1], tokens[i + 1]));
  const lines = new Map<number, Token[]>();
  for (const token of tokens) {
    const at = text.lastIndexOf('\n', token.start);
    lines.set(at, [...(lines.get(at) ?? []), token]);
  }
  for (const line of lines.values()) changes.push(...ofCalls(line), ...ofAssignment(line), ...ofIf(line, text));
  return changes.map((change) => ({ ...change, scope: scopeAt(change.start) }));
}
