import ts from 'typescript';
import { lineOf, parse, type Source, walk } from './source.js';

export const FUNCTION_LINES_MAX = 70;
export const FILE_LINES_MAX = 450;

/** What makes two runs differ: in core, ports, runtime and sim it comes through a port. `queueMicrotask` is deterministic. */
const BANNED = new Set([
  ...['Date', 'performance', 'process', 'crypto', 'globalThis', 'global', 'fetch', 'require', 'Intl'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'],
]);

/** Whether the identifier is the name of a member (`x.process`, `{ process: 1 }`), which is no use of the global. */
function isMemberName(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  const isMember =
    ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isEnumMember(parent);
  return isMember && parent.name === node;
}

/** Uses that tell the same in every run: the name of a type, `Date.prototype`, `x instanceof Date`. */
function isHarmless(node: ts.Identifier): boolean {
  const parent = node.parent;
  if (ts.isTypeReferenceNode(parent)) return true;
  if (ts.isPropertyAccessExpression(parent)) return parent.name.text === 'prototype';
  return ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword && parent.right === node;
}

function isMathRandom(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return node.expression.getText() === 'Math' && node.name.text === 'random';
  return ts.isElementAccessExpression(node) && node.expression.getText() === 'Math';
}

export function bannedGlobalFaults(source: Source): readonly string[] {
  const file = parse(source);
  const faults: string[] = [];
  const add = (node: ts.Node, name: string) =>
    faults.push(`${source.path}:${lineOf(file, node.getStart(file))} uses ${name}: take it from a port`);
  walk(file, (node) => {
    if (ts.isIdentifier(node) && BANNED.has(node.text) && !isMemberName(node) && !isHarmless(node)) add(node, node.text);
    else if (isMathRandom(node)) add(node, 'Math.random');
  });
  return faults;
}

/** What belongs to the async context in which it is made: the context of a caller, if a call makes it. */
const TIMERS = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'nextTick']);

/** Timers that are not made by `src/system`, which makes them outside of every caller's async context. */
export function timerFaults(source: Source): readonly string[] {
  const file = parse(source);
  const faults: string[] = [];
  walk(file, (node) => {
    if (!ts.isIdentifier(node) || !TIMERS.has(node.text)) return;
    const called = ts.isPropertyAccessExpression(node.parent) && node.parent.name === node ? node.parent : node;
    const isImport = ts.isImportSpecifier(node.parent);
    if (!isImport && !(ts.isCallExpression(called.parent) && called.parent.expression === called)) return;
    const line = lineOf(file, node.getStart(file));
    faults.push(`${source.path}:${line} uses ${node.text}: a caller's async context would hold; take it from the clock`);
  });
  return faults;
}

export function sizeFaults(source: Source): readonly string[] {
  const file = parse(source);
  const faults: string[] = [];
  const fileLines = source.text.replace(/\n$/, '').split('\n').length;
  if (fileLines > FILE_LINES_MAX) faults.push(`${source.path}: ${fileLines} lines; at most ${FILE_LINES_MAX}`);
  walk(file, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return;
    const firstLine = lineOf(file, node.getStart(file));
    const lines = lineOf(file, node.end) - firstLine + 1;
    if (lines > FUNCTION_LINES_MAX)
      faults.push(`${source.path}:${firstLine} a function of ${lines} lines; at most ${FUNCTION_LINES_MAX}`);
  });
  return faults;
}

export function anyFaults(source: Source): readonly string[] {
  const file = parse(source);
  const faults: string[] = [];
  walk(file, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) faults.push(`${source.path}:${lineOf(file, node.getStart(file))} says any`);
  });
  return faults;
}

// Spelled in two parts, or this file would be its own finding.
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);

export function unfinishedFaults(source: Source): readonly string[] {
  return source.text
    .split('\n')
    .flatMap((line, i) => (UNFINISHED.test(line) ? [`${source.path}:${i + 1} is marked unfinished: ${line.trim()}`] : []));
}
