/** Mutation operators on TypeScript. Each takes a node and returns the changes that it makes of it. */
import ts from 'typescript';
import type { Change, Site } from './mutant.js';

const K = ts.SyntaxKind;

const SWAPPED: ReadonlyMap<ts.SyntaxKind, readonly [operator: string, to: string]> = new Map([
  [K.LessThanToken, ['boundary', '<=']],
  [K.LessThanEqualsToken, ['boundary', '<']],
  [K.GreaterThanToken, ['boundary', '>=']],
  [K.GreaterThanEqualsToken, ['boundary', '>']],
  [K.EqualsEqualsEqualsToken, ['equality', '!==']],
  [K.ExclamationEqualsEqualsToken, ['equality', '===']],
  [K.AmpersandAmpersandToken, ['logic', '||']],
  [K.BarBarToken, ['logic', '&&']],
  [K.PlusToken, ['arithmetic', '-']],
  [K.MinusToken, ['arithmetic', '+']],
  [K.AsteriskToken, ['arithmetic', '/']],
  [K.SlashToken, ['arithmetic', '*']],
  [K.PlusEqualsToken, ['arithmetic', '-=']],
  [K.MinusEqualsToken, ['arithmetic', '+=']],
  [K.QuestionQuestionEqualsToken, ['default', '=']],
]);

const SWAPPED_CALLS: ReadonlyMap<string, string> = new Map([
  ['Math.min', 'Math.max'],
  ['Math.max', 'Math.min'],
  ['Math.floor', 'Math.ceil'],
  ['Math.ceil', 'Math.floor'],
]);

const SWAPPED_METHODS: ReadonlyMap<string, string> = new Map([
  ['some', 'every'],
  ['every', 'some'],
]);

const ASSIGNMENTS = { first: K.FirstAssignment, last: K.LastAssignment };

/** 0 and 1 become each other and small integers are off by one. All else becomes 0: one more of many rarely changes what is done. */
export function otherNumber(value: number): string {
  if (value === 0) return '1';
  if (value === 1) return '0';
  return value < 10 && Number.isInteger(value) ? String(value + 1) : '0';
}

const isText = (node: ts.Node): boolean => ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);

function replace(operator: string, node: ts.Node, to: string): Change {
  return { operator, start: node.getStart(), end: node.end, to };
}

function ofBinary(node: ts.Node): Change[] {
  if (!ts.isBinaryExpression(node)) return [];
  const { left, right, operatorToken: token } = node;
  if (token.kind === K.QuestionQuestionToken) return [replace('default', node, left.getText())];
  const swapped = SWAPPED.get(token.kind);
  if (swapped === undefined) return [];
  const joinsText = swapped[0] === 'arithmetic' && (isText(left) || isText(right));
  return joinsText ? [] : [replace(swapped[0], token, swapped[1])];
}

function ofUnary(node: ts.Node): Change[] {
  if (!ts.isPrefixUnaryExpression(node) && !ts.isPostfixUnaryExpression(node)) return [];
  if (node.operator !== K.PlusPlusToken && node.operator !== K.MinusMinusToken) return [];
  const to = node.operator === K.PlusPlusToken ? '--' : '++';
  const operand = node.operand.getText();
  return [replace('arithmetic', node, ts.isPrefixUnaryExpression(node) ? to + operand : operand + to)];
}

function conditionOf(node: ts.Node): ts.Expression | undefined {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) return node.expression;
  return ts.isForStatement(node) || ts.isConditionalExpression(node) ? node.condition : undefined;
}

/** A condition that is one equality is left to the operator `equality`, which does the same. */
function ofCondition(node: ts.Node): Change[] {
  const condition = conditionOf(node);
  if (condition === undefined) return [];
  if (ts.isBinaryExpression(condition) && SWAPPED.get(condition.operatorToken.kind)?.[0] === 'equality') return [];
  const isNegated = ts.isPrefixUnaryExpression(condition) && condition.operator === K.ExclamationToken;
  return [replace('negate', condition, isNegated ? condition.operand.getText() : `!(${condition.getText()})`)];
}

function ofLiteral(node: ts.Node): Change[] {
  if (node.kind === K.TrueKeyword) return [replace('boolean', node, 'false')];
  if (node.kind === K.FalseKeyword) return [replace('boolean', node, 'true')];
  if (!ts.isNumericLiteral(node)) return [];
  const { parent } = node;
  if ((ts.isPropertyAssignment(parent) || ts.isEnumMember(parent)) && parent.name === node) return [];
  return [replace('number', node, otherNumber(Number(node.text)))];
}

function ofCall(node: ts.Node): Change[] {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return [];
  const { expression: callee } = node;
  const swapped = SWAPPED_CALLS.get(callee.getText());
  if (swapped !== undefined) return [replace('minmax', callee, swapped)];
  const method = SWAPPED_METHODS.get(callee.name.text);
  return method === undefined ? [] : [replace('quantifier', callee.name, method)];
}

function ofChain(node: ts.Node): Change[] {
  const isAccess = ts.isPropertyAccessExpression(node);
  if (!isAccess && !ts.isElementAccessExpression(node) && !ts.isCallExpression(node)) return [];
  const token = node.questionDotToken;
  return token === undefined ? [] : [replace('chain', token, isAccess ? '.' : '')];
}

/** What a statement does, without the `await` or `void` before it. */
function effectOf(expression: ts.Expression): ts.Expression {
  return ts.isAwaitExpression(expression) || ts.isVoidExpression(expression) ? expression.expression : expression;
}

function ofEffect(node: ts.Node): Change[] {
  if (!ts.isExpressionStatement(node)) return [];
  const effect = effectOf(node.expression);
  if (ts.isCallExpression(effect)) return effect.expression.kind === K.SuperKeyword ? [] : [replace('dropCall', node, ';')];
  if (ts.isDeleteExpression(effect)) return [replace('dropAssign', node, ';')];
  if (!ts.isBinaryExpression(effect)) return [];
  const { kind } = effect.operatorToken;
  return kind >= ASSIGNMENTS.first && kind <= ASSIGNMENTS.last ? [replace('dropAssign', node, ';')] : [];
}

const ends = (node: ts.Node | undefined): boolean =>
  node !== undefined &&
  (ts.isReturnStatement(node) || ts.isContinueStatement(node) || ts.isBreakStatement(node) || ts.isThrowStatement(node));

/** `if (...) return;`, also with other statements before the return. */
function ofGuard(node: ts.Node): Change[] {
  if (!ts.isIfStatement(node) || node.elseStatement !== undefined) return [];
  const last = ts.isBlock(node.thenStatement) ? node.thenStatement.statements.at(-1) : node.thenStatement;
  return ends(last) ? [replace('dropGuard', node, ';')] : [];
}

const isLoop = (node: ts.Node): boolean => ts.isIterationStatement(node, false);

/** Whether a `break` here leaves a loop, and not a switch. */
function breaksLoop(node: ts.Node): boolean {
  for (let at = node.parent; at !== undefined && !ts.isFunctionLike(at); at = at.parent) {
    if (ts.isSwitchStatement(at)) return false;
    if (isLoop(at)) return true;
  }
  return false;
}

function ofJump(node: ts.Node): Change[] {
  if (ts.isContinueStatement(node)) return breaksLoop(node) ? [replace('jump', node, 'break;')] : [];
  return ts.isBreakStatement(node) && breaksLoop(node) ? [replace('jump', node, 'continue;')] : [];
}

const OPERATORS = [ofBinary, ofUnary, ofCondition, ofLiteral, ofCall, ofChain, ofEffect, ofGuard, ofJump];

/** What is no logic: types, imports, and the texts of messages with what they name. */
const isSkipped = (node: ts.Node): boolean =>
  ts.isTypeNode(node) ||
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isTemplateExpression(node) ||
  ts.isDecorator(node);

const nameOf = (node: ts.Node): string | undefined => {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)) return node.name?.text ?? 'default';
  if (ts.isVariableDeclaration(node) || ts.isClassElement(node)) return node.name?.getText();
  return undefined;
};

const isSource = (node: ts.Node | undefined): boolean => node !== undefined && ts.isSourceFile(node);

/** The name of a top-level declaration, or `Class.member`. */
function scopeBelow(scope: string, node: ts.Node): string {
  const isTop = isSource(node.parent) || (ts.isVariableDeclaration(node) && isSource(node.parent.parent.parent));
  const name = nameOf(node);
  if (name === undefined) return scope;
  if (isTop) return name;
  return ts.isClassElement(node) && ts.isClassLike(node.parent) && isSource(node.parent.parent) ? `${scope}.${name}` : scope;
}

/** Returns all changes of a file, but those in declarations that `leaves` names. */
export function sitesOfTs(path: string, text: string, leaves: ReadonlySet<string> = new Set()): readonly Site[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const sites: Site[] = [];
  const visit = (node: ts.Node, scope: string): void => {
    if (isSkipped(node)) return;
    const here = scopeBelow(scope, node);
    if (leaves.has(here)) return;
    for (const operator of OPERATORS) for (const change of operator(node)) sites.push({ ...change, scope: here });
    ts.forEachChild(node, (child) => visit(child, here));
  };
  visit(file, 'file');
  return sites;
}

/** Returns the mutated source as JavaScript; undefined if the change made it no program. */
export function transpiled(path: string, text: string): string | undefined {
  const { outputText, diagnostics } = ts.transpileModule(text, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      isolatedModules: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
    },
  });
  return diagnostics?.length === 0 ? outputText : undefined;
}
