/** JSON Schema as TypeScript. What cannot be said is `unknown`: never narrower than the schema. */
import { type JsonSchema, resolve } from '../core/json-schema.js';
import { isIdentifier, type Names, pascal } from './names.js';

const isObject = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null && !Array.isArray(value);

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);

export const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** A comment; what it says cannot end it. */
export function docOf(schema: unknown): string {
  if (!isObject(schema)) return '';
  const formats = [schema, ...listOf(schema.anyOf), ...listOf(schema.oneOf)].map((part) => (isObject(part) ? part.format : ''));
  const known = formats.filter((format) => typeof format === 'string' && format !== '');
  const lines = [schema.description, known.length === 0 ? undefined : `Format: ${[...new Set(known)].join(', ')}`]
    .filter((text): text is string => typeof text === 'string' && text !== '')
    .flatMap((text) => text.replaceAll('*/', '*\\/').split(/\r?\n/));
  if (lines.length === 0) return '';
  if (lines.length === 1) return `/** ${lines[0]} */\n`;
  return `/**\n${lines.map((line) => ` * ${line}`.trimEnd()).join('\n')}\n */\n`;
}

const NOT_PLAIN = ['anyOf', 'oneOf', 'allOf', '$ref', 'enum', 'const'];

/** Whether the schema is simply an object, which becomes an interface. */
export const isPlainObject = (schema: JsonSchema): boolean => schema.type === 'object' && !NOT_PLAIN.some((key) => key in schema);

/** Writes the types of one schema document, and of what it refers to under names of their own. */
export class TypeWriter {
  /** Declarations of what is referred to. */
  readonly declared: string[] = [];
  readonly #references = new Map<string, string>();

  constructor(
    private readonly root: JsonSchema,
    private readonly own: string,
    private readonly names: Names,
  ) {}

  /** The members of an object type; undefined if the schema is not simply one. */
  membersOf(schema: JsonSchema): string | undefined {
    return isPlainObject(schema) ? this.#members(schema) : undefined;
  }

  typeOf(schema: unknown): string {
    if (schema === false) return 'never';
    if (!isObject(schema)) return 'unknown';
    const parts = [
      typeof schema.$ref === 'string' ? this.#reference(schema.$ref) : undefined,
      'const' in schema ? JSON.stringify(schema.const) : undefined,
      Array.isArray(schema.enum) ? this.#union(schema.enum.map((value) => literal(value))) : undefined,
      ...listOf(schema.allOf).map((part) => this.typeOf(part)),
      ...[schema.anyOf, schema.oneOf]
        .filter((list) => Array.isArray(list))
        .map((list) => this.#union(listOf(list).map((part) => this.typeOf(part)))),
    ].filter((part) => part !== undefined && part !== 'unknown') as string[];
    // A constant says more than its type, and a reference says it all.
    if (parts.length === 0 || (schema.type === 'object' && isObject(schema.properties))) parts.push(this.#byType(schema));
    const said = parts.filter((part) => part !== 'unknown');
    if (said.length === 0) return 'unknown';
    return said.length === 1 ? (said[0] as string) : said.map(bracketed).join(' & ');
  }

  #union(parts: readonly string[]): string {
    const unique = [...new Set(parts)];
    if (unique.length === 0) return 'never';
    return unique.includes('unknown') ? 'unknown' : unique.join(' | ');
  }

  #byType(schema: JsonSchema): string {
    const types = Array.isArray(schema.type) ? (schema.type as unknown[]) : [schema.type];
    return this.#union(types.map((type) => this.#simple(schema, type)));
  }

  #simple(schema: JsonSchema, type: unknown): string {
    switch (type) {
      case 'string':
      case 'boolean':
      case 'null':
      case 'number':
        return type;
      case 'integer':
        return 'number';
      case 'array':
        return this.#array(schema);
      case 'object':
        return this.#object(schema);
      default:
        return 'unknown';
    }
  }

  #array({ prefixItems, items }: JsonSchema): string {
    if (!Array.isArray(prefixItems)) return `readonly ${bracketed(this.typeOf(items))}[]`;
    const first = prefixItems.map((item) => this.typeOf(item));
    const rest = items === false ? [] : [`...${bracketed(this.typeOf(items))}[]`];
    return `readonly [${[...first, ...rest].join(', ')}]`;
  }

  #object(schema: JsonSchema): string {
    const members = this.#members(schema);
    return members === '' ? 'Record<string, never>' : `{\n${indented(members)}}`;
  }

  #members({ properties, required, additionalProperties, patternProperties }: JsonSchema): string {
    const known = Object.entries(isObject(properties) ? properties : {});
    const needed = new Set(listOf(required));
    const lines = known.map(([name, schema]) => {
      const key = isIdentifier(name) ? name : JSON.stringify(name);
      return `${docOf(schema)}readonly ${key}${needed.has(name) ? '' : '?'}: ${this.typeOf(schema)};\n`;
    });
    const undeclared = [...needed].filter((name) => !known.some(([key]) => key === name));
    for (const name of undeclared)
      lines.push(`readonly ${isIdentifier(String(name)) ? String(name) : JSON.stringify(name)}: unknown;\n`);
    const open = additionalProperties !== false && (additionalProperties !== undefined || lines.length === 0);
    if (isObject(patternProperties) || open) {
      // An index signature has to allow what the named properties are.
      const type = lines.length > 0 || isObject(patternProperties) ? 'unknown' : this.typeOf(additionalProperties);
      lines.push(`readonly [key: string]: ${type};\n`);
    }
    return lines.join('');
  }

  #reference(ref: string): string {
    if (ref === '#') return this.own;
    const before = this.#references.get(ref);
    if (before !== undefined) return before;
    const schema = resolve(this.root, ref);
    if (schema === undefined) return 'unknown';
    const name = this.names.take(this.own + pascal(ref.slice(ref.lastIndexOf('/') + 1)));
    this.#references.set(ref, name);
    this.declared.push(declare(name, schema, this));
    return name;
  }
}

const literal = (value: unknown): string => (typeof value === 'object' && value !== null ? 'unknown' : JSON.stringify(value));

/** Whether it has to be bracketed beside another type. */
const bracketed = (type: string): string => (/^[\w$.]+$|^"[^"]*"$|^\{[^{}]*\}$/.test(type) ? type : `(${type})`);

/** An interface where the schema is simply an object, else an alias. */
export function declare(name: string, schema: unknown, writer: TypeWriter): string {
  const members = isObject(schema) ? writer.membersOf(schema) : undefined;
  if (members === undefined) return `${docOf(schema)}export type ${name} = ${writer.typeOf(schema)};\n`;
  return `${docOf(schema)}export interface ${name} {\n${indented(members)}}\n`;
}
