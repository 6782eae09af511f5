/** All mutants of the source: which files, and what is left out of them. */
import { readSources } from '../tidy/source.js';
import { sitesOfLua } from './lua-operators.js';
import { type Area, type Mutant, mutantsOf } from './mutant.js';
import { sitesOfTs } from './operators.js';

const FOLDERS: readonly (readonly [Area, string, string])[] = [
  ['core', 'src/core', '.ts'],
  ['runtime', 'src/runtime', '.ts'],
  ['lua', 'src/redis/scripts', '.lua'],
];

/** Tables whose content is their meaning: `docs/errors.md` and `docs/config.md` are generated from them. */
const TABLES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['src/core/errors.ts', new Set(['ERRORS'])],
  ['src/core/config/base-fields.ts', new Set(['BASE_FIELDS'])],
  ['src/core/config/grpc-fields.ts', new Set(['GRPC_FIELDS'])],
]);

export interface Catalog {
  readonly mutants: readonly Mutant[];
  /** The text of each file, by its path. */
  readonly texts: ReadonlyMap<string, string>;
}

export function readCatalog(): Catalog {
  const texts = new Map<string, string>();
  const mutants = FOLDERS.flatMap(([area, folder, ending]) =>
    readSources([folder], ending).flatMap(({ path, text }) => {
      texts.set(path, text);
      const sites = area === 'lua' ? sitesOfLua(text) : sitesOfTs(path, text, TABLES.get(path));
      return mutantsOf(path, area, text, sites);
    }),
  );
  return { mutants, texts };
}
