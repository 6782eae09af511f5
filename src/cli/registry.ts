/** introspect and generate: read what the live services publish. */
import { join } from 'node:path';
import { generate, type Kind } from '../codegen/generate.js';
import { modelOf, type TypeModel } from '../codegen/model.js';
import type { MessageShape } from '../core/catalog.js';
import { nearestName } from '../core/config/nearest.js';
import type { JsonSchema } from '../core/json-schema.js';
import type { Contract } from '../core/log/control-operations.js';
import { Declared } from '../runtime/declared.js';
import { PublishedShapes, type SchemaConflict } from '../runtime/shapes.js';
import type { Connected } from './connect.js';
import { importEndingIn, writeFiles } from './files.js';
import { CommandError, type Terminal, UsageError } from './terminal.js';

interface Known {
  readonly shapes: ReadonlyMap<string, ReadonlyMap<string, MessageShape>>;
  /** Service groups by key. A key is `type` or `type message`. */
  readonly services: ReadonlyMap<string, ReadonlySet<string>>;
  readonly conflicts: readonly SchemaConflict[];
}

async function read({ store }: Connected): Promise<Known> {
  const answer = await store.control({ op: 'members', contractsAbove: 0 });
  const conflicts: SchemaConflict[] = [];
  const published = new PublishedShapes([], (event) => conflicts.push(event));
  await published.fetch(answer, async (incarnation, type) => {
    const found = await store.control({ op: 'schemas', incarnation, type });
    return found.ok ? found.text : undefined;
  });
  const live = new Set(answer.members.filter((m) => !m.dead && m.leaseUntilMs > answer.nowMs).map((m) => m.incarnation));
  const contracts = new Declared();
  contracts.take(answer);
  const declared = contracts.all((incarnation) => live.has(incarnation));
  published.learn(declared);
  const shapes = new Map<string, Map<string, MessageShape>>();
  const services = new Map<string, Set<string>>();
  const add = (group: string, { type, names }: Contract): void => {
    const messages = shapes.get(type) ?? new Map<string, MessageShape>();
    shapes.set(type, messages);
    for (const name of names) messages.set(name, published.shapeOf(type, name) ?? {});
    for (const key of [type, ...names.map((name) => `${type} ${name}`)])
      services.set(key, (services.get(key) ?? new Set()).add(group));
  };
  for (const { group, contracts, isLive } of declared) if (isLive) for (const contract of contracts) add(group, contract);
  return { shapes, services, conflicts };
}

const conflictText = ({ type, name, services, wins }: SchemaConflict): string =>
  `warning: services "${services.join('" and "')}" publish different schemas for ${type}.${name}; that of "${wins}", which joined last, counts`;

export async function introspect(connected: Connected, terminal: Terminal): Promise<void> {
  const { shapes, services, conflicts } = await read(connected);
  const of = (key: string): readonly string[] => [...(services.get(key) ?? [])].sort();
  const types = modelOf(shapes).map(({ type, messages }) => ({
    ...{ type, services: of(type) },
    messages: messages.map(({ name, payload = null, reply = null, idProperty = null }) => ({
      ...{ name, services: of(`${type} ${name}`), idProperty, payload, reply },
    })),
  }));
  for (const conflict of conflicts) terminal.note(conflictText(conflict));
  terminal.answer({ types, conflicts }, () => {
    if (types.length === 0) return 'no live service handles anything';
    return types
      .map(({ type, services: by, messages }) => {
        const lines = messages.map(({ name, payload, reply }) => `  ${name} ${outlineOf(payload)} -> ${outlineOf(reply)}`);
        return [`${terminal.paint('bold', type)} (${by.join(', ')})`, ...lines].join('\n');
      })
      .join('\n');
  });
}

/** Returns the properties of a schema as one line. */
function outlineOf(schema: JsonSchema | null): string {
  if (schema === null) return 'unknown';
  const { type, properties, required } = schema;
  if (typeof properties !== 'object' || properties === null) return typeof type === 'string' ? type : 'any of several';
  const needed = new Set(Array.isArray(required) ? (required as unknown[]) : []);
  const names = Object.keys(properties).map((name) => (needed.has(name) ? name : `${name}?`));
  return names.length === 0 ? '{}' : `{ ${names.join(', ')} }`;
}

export interface GenerateOptions {
  readonly classes?: boolean;
  readonly ts?: boolean;
  readonly jsonSchema?: boolean;
  readonly snapshot?: boolean;
  readonly output: string;
  readonly entities?: readonly string[];
  readonly force?: boolean;
}

export function kindOf({ classes, ts, jsonSchema, snapshot }: GenerateOptions): Kind {
  const kinds: readonly (readonly [Kind, boolean | undefined])[] = [
    ['classes', classes],
    ['ts', ts],
    ['json-schema', jsonSchema],
    ['snapshot', snapshot],
  ];
  const [chosen, ...others] = kinds.filter(([, isGiven]) => isGiven === true);
  if (chosen === undefined || others.length > 0)
    throw new UsageError('say what: one of --classes, --ts, --json-schema, --snapshot');
  return chosen[0];
}

export async function generateFiles(connected: Connected, terminal: Terminal, options: GenerateOptions): Promise<void> {
  const kind = kindOf(options);
  const { shapes, conflicts } = await read(connected);
  for (const conflict of conflicts) terminal.note(conflictText(conflict));
  const files = generate(kind, chosenOf(modelOf(shapes), options.entities), importEndingIn(options.output));
  const written = writeFiles(options.output, files, options.force === true);
  const names = files.map(({ name }) => name);
  terminal.answer({ directory: options.output, files: names, written }, () =>
    [...names.map((name) => join(options.output, name)), `${written} written, ${names.length - written} the same`].join('\n'),
  );
}

function chosenOf(types: readonly TypeModel[], entities: readonly string[] | undefined): readonly TypeModel[] {
  if (types.length === 0) throw new CommandError('no live service handles anything: start one, then generate');
  if (entities === undefined) return types;
  const known = types.map(({ type }) => type);
  for (const type of entities.filter((one) => !known.includes(one))) {
    const nearest = nearestName(type, known);
    const meant = nearest === undefined ? `; there are: ${known.join(', ')}` : `; did you mean "${nearest}"?`;
    throw new CommandError(`no live service handles entity type ${JSON.stringify(type)}${meant}`);
  }
  return types.filter(({ type }) => entities.includes(type));
}
