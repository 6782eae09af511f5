import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';

/** A ```ts block of a page, as a module of its own. */
export interface Example {
  readonly page: string;
  /** Line of the page on which the block's code begins, from 1. */
  readonly line: number;
  readonly code: string;
  /** The name by which other examples import it, from a first line like `// bank.ts`. */
  readonly file: string | undefined;
  /** The lines that running it prints, from its `// prints:` comments; none: it is only compiled. */
  readonly prints: readonly string[];
}

const BLOCK = /^```(?:ts|typescript)\n([\s\S]*?)^```$/gm;
const PRINTS = /\/\/ prints: (.+)$/gm;

export function examplesOf(page: string, markdown: string): readonly Example[] {
  return [...markdown.matchAll(BLOCK)].map(({ 1: code = '', index }) => ({
    page,
    line: markdown.slice(0, index).split('\n').length + 1,
    code,
    file: /^\/\/ ([\w-]+)\.ts\n/.exec(code)?.[1],
    prints: [...code.matchAll(PRINTS)].map(([, line = '']) => line.trim()),
  }));
}

const ROOT = resolve('.');
const SOURCES = join(ROOT, 'build/docs-pages');
const OUT = 'build/docs-examples';

/** Whether it talks to a service of another example, on a Redis that it is told. */
export const needsService = ({ code, prints }: Example): boolean => prints.length > 0 && code.includes('process.env.REDIS_URL');

export const nameOf = ({ page, line }: Example): string => `${page}:${line}`;

const baseNameOf = (example: Example): string => example.file ?? nameOf(example).replace(/[/:]/g, '-');

const pathOf = (example: Example): string => join(SOURCES, `${baseNameOf(example)}.ts`);

const moduleOf = ({ code }: Example): string =>
  `${code}export {};\n`.replaceAll("from 'atomic-queues'", "from '../../src/index.js'");

/** Where the example is as a program. */
export const programOf = (example: Example, out = OUT): string =>
  join(ROOT, out, 'build/docs-pages', `${baseNameOf(example)}.js`);

function optionsOf(out: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['src/index.ts'] }, ts.sys, ROOT);
  // An example may declare what it does not use, as a page shows it.
  return { ...options, noEmit: false, noUnusedLocals: false, rootDir: ROOT, outDir: join(ROOT, out) };
}

/** The host that also has the examples as files, without writing them. */
function hostOf(options: ts.CompilerOptions, texts: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, directoryExists } = host;
  host.fileExists = (path) => texts.has(path) || fileExists.call(host, path);
  host.readFile = (path) => texts.get(path) ?? readFile.call(host, path);
  host.directoryExists = (path) => path === SOURCES || (directoryExists?.call(host, path) ?? true);
  host.getSourceFile = (path, languageVersion) => {
    const text = texts.get(path) ?? ts.sys.readFile(path);
    return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion, true);
  };
  return host;
}

/**
 * Compiles the examples under the project's strict options against the package's source, and writes what can be run.
 * Returns the faults by example, each with its line on the page.
 */
export function compileExamples(examples: readonly Example[], out = OUT): ReadonlyMap<Example, readonly string[]> {
  const options = optionsOf(out);
  const texts = new Map(examples.map((example) => [pathOf(example), moduleOf(example)]));
  const program = ts.createProgram([...texts.keys()], options, hostOf(options, texts));
  const faults = new Map(examples.map((example) => [example, faultsOf(program, example)]));
  program.emit();
  return faults;
}

function faultsOf(program: ts.Program, example: Example): readonly string[] {
  const file = program.getSourceFile(pathOf(example));
  if (file === undefined) return [`${nameOf(example)}: it was not compiled`];
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(({ messageText, start = 0 }) => {
    const { line } = file.getLineAndCharacterOfPosition(start);
    return `${example.page}:${example.line + line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

const RUN_TIMEOUT_MS = 60_000;
const execute = promisify(execFile);

/** Runs a compiled example in a process of its own, which has to end by itself. Resolves with the lines it printed. */
export async function runExample(example: Example, out = OUT, env = process.env): Promise<readonly string[]> {
  const { stdout, stderr } = await execute(process.execPath, [programOf(example, out)], { timeout: RUN_TIMEOUT_MS, env });
  if (stderr !== '') throw new Error(`${nameOf(example)} wrote to standard error:\n${stderr}`);
  return stdout.trimEnd().split('\n');
}
