import { BASE_FIELDS } from './base-fields.js';
import { GRPC_FIELDS } from './grpc-fields.js';
import type { ConfigField, FieldSpec } from './rules.js';
import type { ConfigPath } from './types.js';

/** The only table of fields. Validation, defaults and docs/config.md use it. */
export const FIELDS = { ...BASE_FIELDS, ...GRPC_FIELDS };

export type FieldValue<P extends ConfigPath> = (typeof FIELDS)[P]['fallback'];

export const ROOT = '';
export const ENTITY = 'entities.<type>';

export const fieldOf = (path: string): FieldSpec<unknown> | undefined =>
  Object.hasOwn(FIELDS, path) ? FIELDS[path as ConfigPath] : undefined;

const allowedText = ({ rule, later }: FieldSpec<unknown>): string =>
  later === undefined ? rule.allowed : `${later.allowedNow} (${later.why})`;

/** All fields as rows of docs/config.md. `<type>` stands for any entity type. */
export const CONFIG_FIELDS: readonly ConfigField[] = Object.entries<FieldSpec<unknown>>(FIELDS).map(([path, spec]) => ({
  path,
  default: spec.fallbackText,
  unit: spec.unit,
  allowed: allowedText(spec),
  guidance: spec.guidance,
}));

/** The keys of each section, by the path of the section. `<type>` is a wildcard. */
export const SECTIONS: ReadonlyMap<string, ReadonlySet<string>> = sectionsOf(Object.keys(FIELDS));

function sectionsOf(paths: readonly string[]): Map<string, Set<string>> {
  const sections = new Map<string, Set<string>>();
  for (const path of paths) {
    let section = ROOT;
    for (const key of path.split('.')) {
      const keys = sections.get(section) ?? new Set();
      sections.set(section, keys.add(key));
      section = section === ROOT ? key : `${section}.${key}`;
    }
  }
  return sections;
}
