import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';

/** A file under check; `path` is relative to the repository, with `/`. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  readonly specifier: string;
  /** Where a relative specifier leads, as a .ts path of the repository; undefined for a package. */
  readonly target: string | undefined;
  /** Loaded together with the file that names it: neither a type, nor `import()`, nor a worker's URL. */
  readonly isStaticValue: boolean;
  readonly line: number;
}

export const parse = (source: Source): ts.SourceFile =>
  ts.createSourceFile(
    source.path,
    source.text,
    ts.ScriptTarget.ES2023,
    true,
    source.path.endsWith('.ts') ? ts.ScriptKind.TS : undefined,
  );

export const lineOf = (file: ts.SourceFile, position: number): number => file.getLineAndCharacterOfPosition(position).line + 1;

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) {
    if (node.isTypeOnly) return true;
    return (
      node.exportClause !== undefined &&
      ts.isNamedExports(node.exportClause) &&
      node.exportClause.elements.every((e) => e.isTypeOnly)
    );
  }
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const named = clause.namedBindings;
  if (clause.name !== undefined || named === undefined || !ts.isNamedImports(named)) return false;
  return named.elements.length > 0 && named.elements.every((e) => e.isTypeOnly);
}

const isMetaUrl = (node: ts.Node | undefined): boolean =>
  node !== undefined && ts.isPropertyAccessExpression(node) && ts.isMetaProperty(node.expression);

/** The node that spells the specifier, and whether it is loaded statically; undefined where `node` is no import. */
function specifierOf(node: ts.Node): { literal: ts.Node; isStaticValue: boolean } | undefined {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
    return { literal: node.moduleSpecifier, isStaticValue: !isTypeOnly(node) };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
    return { literal: node.argument.literal, isStaticValue: false };
  if (ts.isCallExpression(node)) {
    const [literal] = node.arguments;
    if (literal === undefined) return undefined;
    if (node.expression.kind === ts.SyntaxKind.ImportKeyword) return { literal, isStaticValue: false };
    if (ts.isIdentifier(node.expression) && node.expression.text === 'require') return { literal, isStaticValue: true };
  }
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'URL') {
    const [literal, base] = node.arguments ?? [];
    if (literal !== undefined && isMetaUrl(base)) return { literal, isStaticValue: false };
  }
  return undefined;
}

export function importsOf(source: Source): readonly Import[] {
  const file = parse(source);
  const found: Import[] = [];
  walk(file, (node) => {
    const hit = specifierOf(node);
    if (hit === undefined || !ts.isStringLiteralLike(hit.literal)) return;
    const specifier = hit.literal.text;
    const isRelative = specifier.startsWith('.');
    const target = isRelative ? posix.join(posix.dirname(source.path), specifier).replace(/\.js$/, '.ts') : undefined;
    found.push({ specifier, target, isStaticValue: hit.isStaticValue, line: lineOf(file, node.getStart(file)) });
  });
  return found;
}

/** All files with that ending below the folders that exist; paths relative to the repository (the working directory). */
export function readSources(folders: readonly string[], ending: string): readonly Source[] {
  return folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      (readdirSync(folder, { recursive: true }) as string[]).map((name) => posix.join(folder, name.replaceAll('\\', '/'))),
    )
    .filter((path) => path.endsWith(ending))
    .sort()
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}
