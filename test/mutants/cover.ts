/** Which blocks of the source a run executes: a mutant needs only the seeds, the scenarios and the tests that reach its block. */
import ts from 'typescript';

export interface Block {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

export interface Instrumented {
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** Ids are below this. Each process has an array of so many marks in `globalThis`. */
export const BLOCKS_MAX = 65_536;

interface Insert {
  readonly at: number;
  readonly text: string;
}

/** The statement or expression that a branch consists of, where it has no braces. */
function bareBranches(node: ts.Node): readonly ts.Statement[] {
  const branches = ts.isIfStatement(node)
    ? [node.thenStatement, node.elseStatement]
    : ts.isIterationStatement(node, false)
      ? [node.statement]
      : [];
  return branches.filter((branch) => branch !== undefined && !ts.isBlock(branch)) as ts.Statement[];
}

/** Puts a mark into each block. Ids begin with `firstId`. */
export function instrumented(path: string, text: string, firstId: number): Instrumented {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const blocks: Block[] = [];
  const inserts: Insert[] = [];
  const mark = (start: number, end: number): string => {
    const id = firstId + blocks.length;
    blocks.push({ id, start, end });
    return `__aqMarks[${id}] = 1`;
  };
  const visit = (node: ts.Node): void => {
    if (ts.isBlock(node)) inserts.push({ at: node.getStart() + 1, text: ` ${mark(node.getStart(), node.end)};` });
    else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      const { body } = node;
      inserts.push({ at: body.getStart(), text: `(${mark(body.getStart(), body.end)}, ` }, { at: body.end, text: ')' });
    } else if (ts.isCaseOrDefaultClause(node)) {
      const colon = text.indexOf(':', ts.isCaseClause(node) ? node.expression.end : node.getStart());
      inserts.push({ at: colon + 1, text: ` ${mark(colon + 1, node.end)};` });
    }
    for (const branch of bareBranches(node))
      inserts.push({ at: branch.getStart(), text: `{ ${mark(branch.getStart(), branch.end)}; ` }, { at: branch.end, text: ' }' });
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { text: header + withInserts(text, inserts), blocks };
}

const header = `const __aqMarks = (globalThis as unknown as { __aqMarks: Uint8Array }).__aqMarks ??= new Uint8Array(${BLOCKS_MAX}); `;

/** Inner inserts at one place come behind outer ones where blocks begin, and before them where they end: the order of the list. */
function withInserts(text: string, inserts: readonly Insert[]): string {
  const order = inserts.map((insert, i) => ({ ...insert, i, isEnd: insert.text === ')' || insert.text === ' }' }));
  order.sort((a, b) => a.at - b.at || Number(b.isEnd) - Number(a.isEnd) || (a.isEnd ? b.i - a.i : a.i - b.i));
  let result = '';
  let from = 0;
  for (const { at, text: inserted } of order) {
    result += text.slice(from, at) + inserted;
    from = at;
  }
  return result + text.slice(from);
}

/** Returns the innermost block around the position; undefined outside of all, where code runs as its module loads. */
export function blockAt(blocks: readonly Block[], position: number): number | undefined {
  const around = blocks.filter(({ start, end }) => start <= position && position < end);
  around.sort((a, b) => a.end - a.start - (b.end - b.start));
  return around[0]?.id;
}

/** Returns the ids that were marked, and takes the marks away. */
export function takeMarks(): readonly number[] {
  const { __aqMarks: marks } = globalThis as unknown as { __aqMarks: Uint8Array | undefined };
  const ids: number[] = [];
  if (marks === undefined) return ids;
  for (let id = marks.indexOf(1); id >= 0; id = marks.indexOf(1, id + 1)) ids.push(id);
  marks.fill(0);
  return ids;
}
