/**
 * Checks a JSON value against a JSON Schema (2020-12). Supports the keywords that schema libraries write for data: types,
 * constants, numbers, strings, objects, arrays, combinations and local references. A keyword that is not supported allows every
 * value, because the node that handles the message checks it again. `format` is only an annotation, as in the standard.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Violation {
  /** Path of the violating value, such as `$.lines[2].sku`. */
  readonly path: string;
  readonly message: string;
}

const VIOLATIONS_MAX = 20;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const typeOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'object' ? 'object' : typeof value;
};

const isOfType = (value: unknown, type: unknown): boolean => {
  if (type === 'integer') return Number.isInteger(value);
  return typeOf(value) === type;
};

const member = (path: string, key: string): string =>
  IDENTIFIER.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;

/** Returns the violations of the schema by `value`, at most VIOLATIONS_MAX; empty if there are none. */
export function violationsOf(schema: JsonSchema, value: unknown): readonly Violation[] {
  const check = new Check(schema);
  try {
    check.visit(schema, value, '$');
  } catch (error) {
    // The value is nested deeper than the stack. The node that handles the message checks it.
    if (!(error instanceof RangeError)) throw error;
  }
  return check.found.slice(0, VIOLATIONS_MAX);
}

class Check {
  readonly found: Violation[] = [];
  /** References that are being followed, each with the path of its value. A schema may refer to itself. */
  private readonly open = new Set<string>();

  constructor(private readonly root: JsonSchema) {}

  visit(schema: unknown, value: unknown, path: string): void {
    if (this.found.length > VIOLATIONS_MAX) return;
    if (schema === false) this.fail(path, 'is not allowed');
    if (!isObject(schema)) return;
    this.reference(schema, value, path);
    this.type(schema, value, path);
    this.combinations(schema, value, path);
    if (typeof value === 'number') this.number(schema, value, path);
    else if (typeof value === 'string') this.text(schema, value, path);
    else if (Array.isArray(value)) this.array(schema, value, path);
    else if (isObject(value)) this.object(schema, value, path);
  }

  private fail(path: string, message: string): void {
    this.found.push({ path, message });
  }

  private holds(schema: unknown, value: unknown, path: string): boolean {
    const inner = new Check(this.root);
    for (const ref of this.open) inner.open.add(ref);
    inner.visit(schema, value, path);
    return inner.found.length === 0;
  }

  private reference(schema: JsonSchema, value: unknown, path: string): void {
    const { $ref } = schema;
    if (typeof $ref !== 'string') return;
    const target = resolve(this.root, $ref);
    const key = `${$ref} ${path}`;
    if (target === undefined || this.open.has(key)) return;
    this.open.add(key);
    this.visit(target, value, path);
    this.open.delete(key);
  }

  private type({ type, const: only, enum: allowed, ...rest }: JsonSchema, value: unknown, path: string): void {
    const types = Array.isArray(type) ? (type as unknown[]) : type === undefined ? [] : [type];
    if (types.length > 0 && !types.some((one) => isOfType(value, one))) {
      this.fail(path, `must be ${types.join(' or ')}, is ${value === undefined ? 'missing' : typeOf(value)}`);
      return;
    }
    if (only !== undefined && !isSame(only, value)) this.fail(path, `must be ${JSON.stringify(only)}`);
    if (Array.isArray(allowed) && !allowed.some((one) => isSame(one, value)))
      this.fail(path, `must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`);
    if (rest.not !== undefined && this.holds(rest.not, value, path)) this.fail(path, 'is what it must not be');
  }

  private combinations({ allOf, anyOf, oneOf }: JsonSchema, value: unknown, path: string): void {
    if (Array.isArray(allOf)) for (const part of allOf) this.visit(part, value, path);
    const some = [anyOf, oneOf].filter((list) => Array.isArray(list));
    for (const list of some) {
      const matches = list.filter((part) => this.holds(part, value, path)).length;
      if (matches === 0) this.fail(path, 'matches none of what is allowed');
      else if (matches > 1 && list === oneOf) this.fail(path, 'matches more than one of what is allowed');
    }
  }

  private number(schema: JsonSchema, value: number, path: string): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
    if (typeof minimum === 'number' && value < minimum) this.fail(path, `must be at least ${minimum}`);
    if (typeof maximum === 'number' && value > maximum) this.fail(path, `must be at most ${maximum}`);
    if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum) this.fail(path, `must be above ${exclusiveMinimum}`);
    if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum) this.fail(path, `must be below ${exclusiveMaximum}`);
    if (typeof multipleOf === 'number' && !isMultiple(value, multipleOf)) this.fail(path, `must be a multiple of ${multipleOf}`);
  }

  private text({ minLength, maxLength, pattern }: JsonSchema, value: string, path: string): void {
    // Counts characters, not UTF-16 units.
    const length = typeof minLength === 'number' || typeof maxLength === 'number' ? [...value].length : 0;
    if (typeof minLength === 'number' && length < minLength) this.fail(path, `must have at least ${minLength} characters`);
    if (typeof maxLength === 'number' && length > maxLength) this.fail(path, `must have at most ${maxLength} characters`);
    if (typeof pattern === 'string' && expressionOf(pattern)?.test(value) === false) this.fail(path, `must match ${pattern}`);
  }

  private array(schema: JsonSchema, value: readonly unknown[], path: string): void {
    const { minItems, maxItems, uniqueItems, items, prefixItems } = schema;
    if (typeof minItems === 'number' && value.length < minItems) this.fail(path, `must have at least ${minItems} items`);
    if (typeof maxItems === 'number' && value.length > maxItems) this.fail(path, `must have at most ${maxItems} items`);
    if (uniqueItems === true && new Set(value.map(canonical)).size < value.length) this.fail(path, 'must not repeat an item');
    const first = Array.isArray(prefixItems) ? (prefixItems as unknown[]) : [];
    value.forEach((item, i) => {
      this.visit(i < first.length ? first[i] : items, item, `${path}[${i}]`);
    });
  }

  private object(schema: JsonSchema, value: Readonly<Record<string, unknown>>, path: string): void {
    const { required, additionalProperties, propertyNames, minProperties, maxProperties } = schema;
    const properties = isObject(schema.properties) ? schema.properties : {};
    const patterns = Object.entries(isObject(schema.patternProperties) ? schema.patternProperties : {});
    for (const name of Array.isArray(required) ? (required as string[]) : [])
      if (!Object.hasOwn(value, name)) this.fail(member(path, name), 'is missing');
    const names = Object.keys(value);
    if (typeof minProperties === 'number' && names.length < minProperties)
      this.fail(path, `must have at least ${minProperties} properties`);
    if (typeof maxProperties === 'number' && names.length > maxProperties)
      this.fail(path, `must have at most ${maxProperties} properties`);
    for (const name of names) {
      const at = member(path, name);
      if (propertyNames !== undefined) this.visit(propertyNames, name, at);
      const matching = patterns.filter(([pattern]) => expressionOf(pattern)?.test(name) === true);
      for (const [, part] of matching) this.visit(part, value[name], at);
      if (Object.hasOwn(properties, name)) this.visit(properties[name], value[name], at);
      else if (matching.length === 0) this.visit(additionalProperties, value[name], at);
    }
  }
}

/** Returns the part of a document that a local reference (`#`, `#/$defs/name`) names; undefined if it names none. */
export function resolve(root: JsonSchema, ref: string): unknown {
  if (ref === '#') return root;
  if (!ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of ref.slice(2).split('/')) {
    const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~');
    at = isObject(at) || Array.isArray(at) ? (at as Record<string, unknown>)[key] : undefined;
  }
  return at;
}

/** Returns the decoded part. A part with a literal `%` is not encoded and is returned unchanged. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const expressions = new Map<string, RegExp | undefined>();
const EXPRESSIONS_MAX = 1000;

function expressionOf(pattern: string): RegExp | undefined {
  if (expressions.has(pattern)) return expressions.get(pattern);
  let expression: RegExp | undefined;
  try {
    expression = new RegExp(pattern, 'u');
  } catch {
    // The pattern is of another dialect. The node that handles the message checks it.
  }
  if (expressions.size >= EXPRESSIONS_MAX) expressions.clear();
  expressions.set(pattern, expression);
  return expression;
}

function isMultiple(value: number, of: number): boolean {
  const ratio = value / of;
  return Math.abs(ratio - Math.round(ratio)) < 1e-9 * Math.max(1, Math.abs(ratio));
}

const isSame = (a: unknown, b: unknown): boolean => a === b || canonical(a) === canonical(b);

/** Returns JSON text with sorted properties, so that their order does not matter. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
