/** Clients for the messages of a cluster, as text: nothing here reads or writes. */
import type { JsonSchema } from '../core/json-schema.js';
import { type GeneratedFile, MARK, type MessageModel, type TypeModel } from './model.js';
import { FileNames, Names, pascal } from './names.js';
import { declare, docOf, indented, isPlainObject, TypeWriter } from './types.js';

export type Kind = 'classes' | 'ts' | 'json-schema' | 'snapshot';

/** How a file is imported by another in the project that they are written into: ES modules name it with its extension, as `.js`. */
export type ImportEnding = '.js' | '';

export function generate(kind: Kind, types: readonly TypeModel[], ending: ImportEnding = '.js'): readonly GeneratedFile[] {
  switch (kind) {
    case 'classes':
      return classes(types, ending);
    case 'ts':
      return [interfaces(types)];
    case 'json-schema':
      return jsonSchemas(types);
    case 'snapshot':
      return [{ name: 'registry.json', text: jsonText({ $comment: MARK, types }) }];
  }
}

const header = `// ${MARK}\n`;
const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** The schema of the payload; of a message without one, an object with the entity's id. */
function payloadOf({ payload, idProperty }: MessageModel): JsonSchema {
  if (payload !== undefined) return withId(payload, idProperty);
  const properties = idProperty === undefined ? {} : { [idProperty]: ID_SCHEMA };
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: {} };
}

const ID_SCHEMA: JsonSchema = { type: ['string', 'number'] };

/** A class needs its entity's id, also where the schema leaves it out or makes it optional. */
function withId(schema: JsonSchema, idProperty: string | undefined): JsonSchema {
  if (idProperty === undefined || schema.type !== 'object') return schema;
  const properties = (schema.properties ?? {}) as Readonly<Record<string, unknown>>;
  const required = Array.isArray(schema.required) ? (schema.required as string[]) : [];
  return {
    ...schema,
    properties: idProperty in properties ? properties : { [idProperty]: ID_SCHEMA, ...properties },
    required: required.includes(idProperty) ? required : [...required, idProperty],
  };
}

/** Data and reply of a message under names of their own. */
function declarations(message: MessageModel, data: string, reply: string, names: Names): string {
  const parts = [
    { name: data, schema: payloadOf(message) },
    ...(message.reply === undefined ? [] : [{ name: reply, schema: message.reply }]),
  ];
  return parts
    .map(({ name, schema }) => {
      const writer = new TypeWriter(schema, name, names);
      const text = declare(name, schema, writer);
      return [...writer.declared, text].join('\n');
    })
    .join('\n');
}

// ---- classes

const SUFFIXES = ['', 'Data', 'Reply'];

function classes(types: readonly TypeModel[], ending: ImportEnding): readonly GeneratedFile[] {
  const files = new FileNames();
  // One index exports them all, so a name is given once.
  const names = new Names(['Reply', 'QueueEntity']);
  const written = types.map((model) => ({ name: `${files.of(model.type)}.ts`, text: classFile(model, names) }));
  const lines = types.map(({ type }) => `export * from './${files.of(type)}${ending}';\n`);
  return [...written, { name: 'index.ts', text: `${header}${lines.length === 0 ? 'export {};\n' : lines.join('')}` }];
}

function classFile({ type, messages }: TypeModel, names: Names): string {
  const bodies = messages.map((message) => classOf(type, message, names.take(pascal(message.name), SUFFIXES), names));
  const imports = [
    ...(messages.length > 0 ? ["import { QueueEntity } from 'atomic-queues';\n"] : []),
    ...(messages.some(({ reply }) => reply !== undefined) ? ["import type { Reply } from 'atomic-queues';\n"] : []),
  ].join('');
  return `${header}${imports}\n${bodies.length === 0 ? 'export {};\n' : bodies.join('\n')}`;
}

function classOf(type: string, message: MessageModel, name: string, names: Names): string {
  const [data, reply] = [`${name}Data`, `${name}Reply`];
  const bases = [
    ...(isPlainObject(payloadOf(message)) ? [data] : []),
    ...(message.reply === undefined ? [] : [`Reply<${reply}>`]),
  ];
  const merged = bases.length === 0 ? '' : `export interface ${name} extends ${bases.join(', ')} {}\n`;
  // The class's name is the message's, whatever a bundler or a reserved word makes of it.
  // Not by `this`, which TypeScript makes undefined in the static block of a decorated class below target ES2022.
  const named = `static {\n  Object.defineProperty(${name}, 'name', { value: ${JSON.stringify(message.name)} });\n}\n\n`;
  const made = `constructor(data: ${data}) {\n  Object.assign(this, data);\n}\n`;
  const id = message.idProperty ?? 'id';
  return [
    declarations(message, data, reply, names),
    '\n',
    docOf({ description: message.payload?.description }),
    `@QueueEntity(${JSON.stringify(type)}, ${JSON.stringify(id)})\n`,
    `export class ${name} {\n${indented(named + made)}}\n`,
    merged,
  ].join('');
}

// ---- interfaces

function interfaces(types: readonly TypeModel[]): GeneratedFile {
  const spaces = new Names(['DispatchMap']);
  const [blocks, rows]: [string[], string[]] = [[], []];
  for (const { type, messages } of types) {
    const space = spaces.take(pascal(type));
    const names = new Names();
    const found = messages.map((message) => ({ message, name: names.take(pascal(message.name), ['', 'Reply']) }));
    const body = found.map(({ message, name }) => declarations(message, name, `${name}Reply`, names)).join('\n');
    blocks.push(`export namespace ${space} {\n${indented(body)}}\n`);
    const cells = found.map(({ message, name }) => {
      const reply = message.reply === undefined ? 'unknown' : `${space}.${name}Reply`;
      return `readonly ${JSON.stringify(message.name)}: { readonly payload: ${space}.${name}; readonly reply: ${reply} };\n`;
    });
    rows.push(`readonly ${JSON.stringify(type)}: {\n${indented(cells.join(''))}};\n`);
  }
  const map = `/** For \`QueueBus<DispatchMap>\`. */\nexport interface DispatchMap {\n${indented(rows.join(''))}}\n`;
  return { name: 'index.ts', text: [header, ...blocks, map].join('\n') };
}

// ---- JSON Schema

/** A document of its own within the other: what it refers to by `#` stays within it. */
const resource = (name: string, schema: JsonSchema): JsonSchema => ({ $id: encodeURIComponent(name), ...schema });

function jsonSchemas(types: readonly TypeModel[]): readonly GeneratedFile[] {
  const files = new FileNames();
  return types.map(({ type, messages }) => {
    const entries = messages.flatMap(({ name, payload, reply }) => [
      ...(payload === undefined ? [] : [[name, resource(name, payload)]]),
      ...(reply === undefined ? [] : [[`${name} reply`, resource(`${name} reply`, reply)]]),
    ]);
    const document = {
      ...{ $comment: MARK, $schema: 'https://json-schema.org/draft/2020-12/schema', title: type },
      $defs: Object.fromEntries(entries),
    };
    return { name: `${files.of(type)}.schema.json`, text: jsonText(document) };
  });
}
