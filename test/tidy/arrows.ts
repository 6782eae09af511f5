import { importsOf, type Source } from './source.js';

interface Folder {
  readonly mayImport: readonly string[];
  readonly packages: RegExp;
}

const NO_PACKAGE = /^$/;
const ADAPTERS = ['redis', 'grpc', 'system', 'memory'];
const COMPOSITION_ROOT = 'src/nest/composition.ts';

/** The import arrows of the code's shape: what each folder of src may import besides itself. */
const FOLDERS: Readonly<Record<string, Folder>> = {
  core: { mayImport: [], packages: NO_PACKAGE },
  ports: { mayImport: ['core'], packages: NO_PACKAGE },
  runtime: { mayImport: ['core', 'ports'], packages: /^node:async_hooks$/ },
  redis: { mayImport: ['core', 'ports'], packages: /^(ioredis$|node:)/ },
  grpc: { mayImport: ['core', 'ports'], packages: /^(@grpc\/|node:)/ },
  system: { mayImport: ['core', 'ports'], packages: /^node:/ },
  memory: { mayImport: ['core', 'ports'], packages: NO_PACKAGE },
  nest: {
    mayImport: ['runtime', 'ports', 'core'],
    packages: /^(@nestjs\/(common|core|cqrs)(\/|$)|rxjs|reflect-metadata$|zod$|node:)/,
  },
  codegen: { mayImport: ['core'], packages: NO_PACKAGE },
  cli: { mayImport: ['core', 'ports', 'runtime', 'codegen', 'redis', 'system'], packages: /^(commander$|ioredis$|node:)/ },
};

/** Peers that a user need not install: nothing that the entry loads may need them. */
const OPTIONAL_PEERS = /^(ioredis|zod|@grpc\/.*)$/;

const folderOf = (path: string): string => path.split('/')[1] ?? '';

const isTopLevel = (path: string): boolean => path.split('/').length === 2;

function allowedFolders(path: string): readonly string[] | undefined {
  if (isTopLevel(path)) return Object.keys(FOLDERS);
  const folder = FOLDERS[folderOf(path)];
  if (folder === undefined) return undefined;
  return [folderOf(path), ...folder.mayImport, ...(path === COMPOSITION_ROOT ? ADAPTERS : [])];
}

/** Imports of src that point the wrong way. */
export function arrowFaults(sources: readonly Source[]): readonly string[] {
  return sources.flatMap((source) => {
    const allowed = allowedFolders(source.path);
    if (allowed === undefined) return [`${source.path}: its folder has no import rule; add one to test/tidy/arrows.ts`];
    return importsOf(source).flatMap(({ specifier, target, line }) => {
      const at = `${source.path}:${line} imports ${specifier}`;
      if (target === undefined) {
        const isAllowed = isTopLevel(source.path)
          ? /^reflect-metadata$/
          : (FOLDERS[folderOf(source.path)]?.packages ?? NO_PACKAGE);
        return isAllowed.test(specifier) ? [] : [`${at}: this package is not allowed here`];
      }
      if (!target.startsWith('src/')) return [`${at}: src imports nothing outside src`];
      if (isTopLevel(target)) return [`${at}: the entry is for users, not for the package itself`];
      return allowed.includes(folderOf(target)) ? [] : [`${at}: allowed are ${allowed.join(', ')}`];
    });
  });
}

/** Every file that the entries lead to; with `staticOnly`, only what is loaded together with them. */
function reachable(sources: readonly Source[], entries: readonly string[], staticOnly: boolean): ReadonlySet<string> {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const seen = new Set<string>();
  const open = [...entries];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = byPath.get(path);
    if (source === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const { target, isStaticValue } of importsOf(source)) {
      if (target !== undefined && (isStaticValue || !staticOnly)) open.push(target);
    }
  }
  return seen;
}

/** Files of src that no entry leads to. */
export function unusedFaults(sources: readonly Source[], entries: readonly string[]): readonly string[] {
  const used = reachable(sources, entries, false);
  const missing = entries.filter((entry) => !sources.some((source) => source.path === entry));
  return [
    ...missing.map((entry) => `${entry}: an entry that does not exist`),
    ...sources.filter((source) => !used.has(source.path)).map((source) => `${source.path}: nobody imports it`),
  ];
}

/** Optional peers that the entry would load whether or not they are installed. */
export function optionalPeerFaults(sources: readonly Source[], entry: string): readonly string[] {
  const loaded = reachable(sources, [entry], true);
  return sources
    .filter((source) => loaded.has(source.path))
    .flatMap((source) =>
      importsOf(source)
        .filter(({ specifier, isStaticValue }) => isStaticValue && OPTIONAL_PEERS.test(specifier))
        .map(
          ({ specifier, line }) =>
            `${source.path}:${line} loads the optional peer ${specifier} with the entry; use import() or a type`,
        ),
    );
}

/** Lua files that no other file of src names. */
export function unusedLuaFaults(scripts: readonly Source[], sources: readonly Source[]): readonly string[] {
  return scripts
    .filter(({ path }) => {
      const stem = path.slice(path.lastIndexOf('/') + 1, -'.lua'.length);
      const named = new RegExp(`(?<![\\w-])${stem}(?![\\w-])`);
      return ![...sources, ...scripts].some((other) => other.path !== path && named.test(other.text));
    })
    .map(({ path }) => `${path}: no file names it`);
}
