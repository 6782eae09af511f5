// Builds dist/: ESM and declarations by tsc, then a CommonJS version of the same files.
//
// The CommonJS version is transpiled file by file and not by a second tsc run. Sources that locate other files by
// `import.meta.url` (such as worker threads) are an error under `module: commonjs`; the transpile rewrites that expression.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { compile, ROOT } from './compile.mjs';

const src = join(ROOT, 'src');
const esm = join(ROOT, 'dist/esm');
const cjs = join(ROOT, 'dist/cjs');

/** Replaces `import.meta.url|filename|dirname` by the CommonJS expressions. */
function importMetaToCommonJs(context) {
  const replacements = {
    url: "require('node:url').pathToFileURL(__filename).href",
    filename: '__filename',
    dirname: '__dirname',
  };
  const visit = (node) => {
    if (ts.isPropertyAccessExpression(node) && ts.isMetaProperty(node.expression)) {
      const text = replacements[node.name.text];
      if (text === undefined) throw new Error(`import.meta.${node.name.text} has no CommonJS form`);
      return context.factory.createIdentifier(text);
    }
    return ts.visitEachChild(node, visit, context);
  };
  return (file) => ts.visitNode(file, visit);
}

function toCommonJs(path) {
  const result = ts.transpileModule(readFileSync(path, 'utf8'), {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2023,
      experimentalDecorators: true,
      esModuleInterop: true,
      isolatedModules: true,
    },
    transformers: { before: [importMetaToCommonJs] },
  });
  const faults = result.diagnostics ?? [];
  if (faults.length > 0) throw new Error(`${path}: ${ts.flattenDiagnosticMessageText(faults[0].messageText, '\n')}`);
  return result.outputText;
}

function writeFile(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
if (!compile('build')) process.exit(1);

for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const name = relative(src, path);
  if (name.endsWith('.ts')) writeFile(join(cjs, name.replace(/\.ts$/, '.js')), toCommonJs(path));
}
for (const entry of readdirSync(esm, { recursive: true, withFileTypes: true })) {
  if (!entry.name.endsWith('.d.ts')) continue;
  const path = join(entry.parentPath, entry.name);
  writeFile(join(cjs, relative(esm, path)), readFileSync(path, 'utf8'));
}
writeFile(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
