import { isEntityTypeName } from '../ids.js';
import { ENTITY, FIELDS, type FieldValue, fieldOf, ROOT, SECTIONS } from './fields.js';
import { nearestName } from './nearest.js';
import { type FieldSpec, isObject } from './rules.js';
import type { ConfigFault, ConfigPath, IEntityConfig, IRetryPolicy } from './types.js';

const SHOWN_CHARS_MAX = 80;
// At least the maximum length of an entity type name: a cut name could stand for two types.
const KEY_CHARS_MAX = 128;
const IDENTIFIER = /^[A-Za-z_$][\w$-]*$/;

/** Removed fields of version 2, each with its replacement. */
const GONE: Readonly<Record<string, string>> = {
  executor:
    'a field of version 2: each entity has its worker; bound them with `maxConcurrentHandlers`, configure them in `entities`',
  registry: 'a field of version 2: handlers are found by `@EntityType` and `@CommandHandler`; `entities` customizes a type',
  workers: 'a field of version 2: use `maxTotalWorkers`, and `entities.<type>.workerIdleTimeout` per type',
  defaultReplyTimeout:
    'a field of version 2: use `entities.<type>.replyTimeout`, and `grpc.deadlines.andWaitMs` for types of other services',
};

type EntityKey = Exclude<keyof IEntityConfig, 'retry'> | `retry.${keyof IRetryPolicy}`;

const childPath = (path: string, key: string): string => {
  const shown = key.length > KEY_CHARS_MAX ? `${key.slice(0, KEY_CHARS_MAX)}...` : key;
  if (!IDENTIFIER.test(shown)) return `${path}[${JSON.stringify(shown)}]`;
  return path === ROOT ? shown : `${path}.${shown}`;
};

/** Returns a given value as an error may show it, without secrets and without the contents of objects. */
export function shown(value: unknown, secret = false): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (secret) return `a ${typeof value} (not shown)`;
  if (typeof value !== 'string') return `${value}`;
  const masked = value.replace(/\/\/.*@/s, '//***@');
  return JSON.stringify(masked.length > SHOWN_CHARS_MAX ? `${masked.slice(0, SHOWN_CHARS_MAX)}...` : masked);
}

/** The values given in a config, each checked alone, and all faults that were found. */
export class Findings {
  readonly faults: ConfigFault[] = [];
  readonly entityTypes: string[] = [];
  private readonly given = new Map<string, unknown>();
  private readonly bad = new Set<string>();

  constructor(input: unknown) {
    if (input !== undefined) this.section(ROOT, ROOT, input);
  }

  /** Returns whether a value, correct or not, is given at `path`. */
  has(path: string): boolean {
    return this.given.has(path) || this.bad.has(path);
  }

  isBad(path: string): boolean {
    return this.bad.has(path);
  }

  /** Returns the given value, or the default if no value or an incorrect one is given. */
  get<P extends ConfigPath>(path: P): FieldValue<P> {
    return this.lookUp(path, path);
  }

  getOfEntity<K extends EntityKey>(type: string, key: K): FieldValue<`entities.<type>.${K}`> {
    return this.lookUp(this.entityPath(type, key), `${ENTITY}.${key}` as const);
  }

  entityPath(type: string, key: EntityKey): string {
    return `${childPath('entities', type)}.${key}`;
  }

  /** Returns whether a correct value is given at `path`. */
  isGiven(path: string): boolean {
    return this.given.has(path);
  }

  fault(path: string, got: string, allowed: string, why = ''): void {
    this.faults.push({ path, got, allowed, why });
  }

  /** Adds a fault of the value alone. Relations with other fields are not checked for it then. */
  private reject(path: string, got: string, allowed: string, why = ''): void {
    this.fault(path, got, allowed, why);
    this.bad.add(path);
  }

  private lookUp<P extends ConfigPath>(path: string, template: P): FieldValue<P> {
    return (this.given.has(path) ? this.given.get(path) : FIELDS[template].fallback) as FieldValue<P>;
  }

  private section(template: string, path: string, value: unknown): void {
    if (!isObject(value)) {
      this.reject(path === ROOT ? 'config' : path, shown(value, true), 'an object');
      return;
    }
    this.given.set(path, value);
    const known = SECTIONS.get(template) ?? new Set();
    for (const key of Object.keys(value)) {
      const inner = value[key];
      const innerPath = childPath(path, key);
      const innerTemplate = template === ROOT ? key : `${template}.${key}`;
      if (known.has('<type>')) this.entity(key, innerPath, inner);
      else if (!known.has(key)) this.unknown(template, innerPath, key, inner, known);
      else if (inner !== undefined) this.child(innerTemplate, innerPath, inner);
    }
  }

  private child(template: string, path: string, value: unknown): void {
    const spec = fieldOf(template);
    if (spec === undefined) this.section(template, path, value);
    else this.field(spec, path, value);
  }

  private entity(type: string, path: string, value: unknown): void {
    if (!isEntityTypeName(type)) {
      this.reject(path, shown(type), 'an entity type name: 1 to 128 of the characters A-Z a-z 0-9 _ . -');
    } else if (value !== undefined) {
      this.entityTypes.push(type);
      this.section(ENTITY, path, value);
    }
  }

  private field(spec: FieldSpec<unknown>, path: string, value: unknown): void {
    if (!spec.rule.accepts(value)) {
      const { later } = spec;
      const allowed = later === undefined ? spec.rule.allowed : later.allowedNow;
      this.reject(path, shown(value, spec.secret), allowed, spec.rule.whyNot?.(value));
      return;
    }
    this.given.set(path, value);
    if (spec.later?.refuses(value)) {
      this.fault(path, shown(value, spec.secret), spec.later.allowedNow, spec.later.why);
    }
  }

  private unknown(template: string, path: string, key: string, value: unknown, known: ReadonlySet<string>): void {
    // The value is not shown: a misspelt `password` is a secret too.
    const got = shown(value, true);
    if (template === ROOT && Object.hasOwn(GONE, key)) {
      this.reject(path, got, 'leave it out', GONE[key]);
      return;
    }
    const nearest = nearestName(key, known);
    const why = nearest === undefined ? 'unknown field' : `unknown field; did you mean \`${nearest}\`?`;
    this.reject(path, got, `one of ${[...known].join(' ')}`, why);
  }
}
