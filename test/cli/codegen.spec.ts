import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { generate, type Kind } from '../../src/codegen/generate.js';
import { type GeneratedFile, modelOf } from '../../src/codegen/model.js';
import type { MessageShape } from '../../src/core/catalog.js';

const json = (schema: z.ZodType): MessageShape['payload'] => z.toJSONSchema(schema, { io: 'input' });

type Registry = Readonly<Record<string, Readonly<Record<string, MessageShape>>>>;

const modelsOf = (registry: Registry) =>
  modelOf(new Map(Object.entries(registry).map(([type, messages]) => [type, new Map(Object.entries(messages))])));

const line = z.object({ sku: z.string().describe('What is sold'), count: z.number().int(), tags: z.array(z.enum(['a', 'b'])) });
interface Tree {
  readonly name: string;
  readonly children: readonly Tree[];
}
const tree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get children() {
    return z.array(tree);
  },
});

const ORDER = z
  .object({
    orderId: z.string(),
    lines: z.array(line),
    at: z.iso.datetime(),
    until: z.iso.date().nullable(),
    gift: z.union([z.boolean(), z.object({ to: z.string() })]).optional(),
    coupon: z.string().nullable(),
    size: z.tuple([z.number(), z.number()]),
    'odd name': z.literal(7),
    labels: z.record(z.string(), z.string()),
  })
  .describe('Places */ an order');

const REGISTRY: Registry = {
  order: {
    PlaceOrder: { payload: json(ORDER), reply: json(z.object({ total: z.number() })), idProperty: 'orderId' },
    Note: { idProperty: 'orderId' },
    Untyped: { payload: json(z.any()), idProperty: 'orderId' },
    Either: {
      payload: json(z.union([z.object({ orderId: z.string() }), z.object({ orderId: z.number() })])),
      idProperty: 'orderId',
    },
  },
  // Names that are no identifiers, reserved, or collide.
  'order.v2': {
    'place-order': { idProperty: 'id' },
    PlaceOrder: { idProperty: 'id' },
    delete: { payload: json(z.object({ id: z.number() })), idProperty: 'id' },
    '9 lives': { idProperty: 'the id' },
    Grow: { payload: json(z.object({ id: z.string(), tree })), idProperty: 'id' },
    PlaceOrderData: { idProperty: 'id' },
  },
  Order: { Promise: { reply: json(z.string()), idProperty: 'id' } },
  // Globals that a capital would hide, and a text that looks like code.
  record: {
    record: { payload: json(z.object({ id: z.string(), more: z.record(z.string(), z.number()) })), idProperty: 'id' },
    object: { idProperty: 'id' },
    told: {
      payload: { anyOf: [{ type: 'object' }, { type: 'null' }], description: 'export interface Told {}' },
      idProperty: 'id',
    },
  },
  index: {},
};

const OPTIONS: ts.CompilerOptions = {
  ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true },
  ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  ...{ experimentalDecorators: true, types: ['node'] },
};

/** Faults of the files under strict, as if they stood in a folder of this repository. */
function faultsOf(files: readonly GeneratedFile[]): readonly string[] {
  const dir = `${process.cwd()}/test/cli/generated`;
  const texts = new Map(
    files.map(({ name, text }) => [`${dir}/${name}`, text.replaceAll("from 'atomic-queues'", "from '../../../src/index.js'")]),
  );
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (path) => texts.has(path) || fileExists.call(host, path);
  host.directoryExists = (path) => path === dir || (directoryExists?.call(host, path) ?? true);
  host.readFile = (path) => texts.get(path) ?? readFile.call(host, path);
  host.getSourceFile = (path, language) => {
    const text = texts.get(path);
    return text === undefined ? getSourceFile.call(host, path, language) : ts.createSourceFile(path, text, language, true);
  };
  const program = ts.createProgram([...texts.keys()], OPTIONS, host);
  return [...texts.keys()].flatMap((path) => {
    const file = program.getSourceFile(path);
    if (file === undefined) return [`${path} is not there`];
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ messageText, start = 0 }) =>
        `${path.slice(dir.length + 1)}:${file.getLineAndCharacterOfPosition(start).line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  });
}

const textOf = (files: readonly GeneratedFile[], name: string): string => files.find((file) => file.name === name)?.text ?? '';

const USE_CLASSES = `
import { QueueBus } from 'atomic-queues';
import { PlaceOrder, Note, Either, Grow, Promise_, PlaceOrder2 } from './index.js';
export async function use(bus: QueueBus): Promise<void> {
  const message = new PlaceOrder({
    orderId: 'o', lines: [{ sku: 's', count: 1, tags: ['a'] }], at: '2026-01-01T00:00:00Z', until: null, coupon: null, size: [1, 2],
    'odd name': 7, labels: { a: 'b' },
  });
  const total: number = (await bus.enqueueAndWait(message)).total;
  const text: string = await bus.enqueueAndWait(new Promise_({ id: 1 }));
  const ids: [string, string | number] = [message.orderId, new Note({ orderId: 'o', more: true }).orderId];
  await bus.enqueue(new Either({ orderId: 3 }));
  await bus.enqueue(new Grow({ id: 'i', tree: { name: 'n', children: [{ name: 'm', children: [] }] } }));
  await bus.enqueue(new PlaceOrder2({ id: 'x' }));
  // @ts-expect-error the reply has no such property
  (await bus.enqueueAndWait(message)).sum;
  // @ts-expect-error a property is missing
  new PlaceOrder({ orderId: 'o' });
  // @ts-expect-error only a and b
  new PlaceOrder({ ...message, lines: [{ sku: 's', count: 1, tags: ['c'] }] });
  // @ts-expect-error an id is needed
  new Note({});
  void [total, text, ids];
}
`;

const USE_MAP = `
import { QueueBus } from 'atomic-queues';
import type { DispatchMap } from './index.js';
export async function use(bus: QueueBus<DispatchMap>): Promise<void> {
  const { total } = await bus.enqueueAndWait('order', 'PlaceOrder', 'o', {
    orderId: 'o', lines: [], at: '', until: null, gift: { to: 'x' }, coupon: 'c', size: [1, 2], 'odd name': 7, labels: {},
  });
  const sum: number = total;
  await bus.enqueue('order.v2', '9 lives', 1, { 'the id': 1 });
  // @ts-expect-error no such message
  await bus.enqueue('order', 'Nothing', 1, {});
  // @ts-expect-error a property is missing
  await bus.enqueue('order', 'PlaceOrder', 1, { orderId: 'o' });
  void sum;
}
`;

describe('generated code', () => {
  const models = modelsOf(REGISTRY);
  const classes = generate('classes', models);
  const map = generate('ts', models);

  it('compiles under strict, and types what is sent and what is answered', () => {
    expect(faultsOf([...classes, { name: 'use.ts', text: USE_CLASSES }])).toEqual([]);
    expect(faultsOf([...map, { name: 'use.ts', text: USE_MAP }])).toEqual([]);
  });

  it('is a file for each type and an index, also where a file system knows no case', () => {
    expect(classes.map(({ name }) => name)).toEqual([
      'Order.ts',
      'index2.ts',
      'order2.ts',
      'order.v2.ts',
      'record.ts',
      'index.ts',
    ]);
    for (const { text } of [...classes, ...map])
      expect(text.startsWith('// Generated by atomic-queues: do not edit.\n')).toBe(true);
  });

  it('imports its files in the way of the project: without an ending where Jest has to find them', () => {
    expect(textOf(classes, 'index.ts')).toContain("export * from './order2.js';\n");
    expect(textOf(generate('classes', models, ''), 'index.ts')).toContain("export * from './order2';\n");
  });

  it.each([ts.ScriptTarget.ES2017, ts.ScriptTarget.ES2021, ts.ScriptTarget.ES2022])('has its names on target %s', (target) => {
    const decorator = (): (() => void) => () => undefined;
    for (const { name, text } of classes.filter((file) => file.name.startsWith('order'))) {
      const compilerOptions = { target, module: ts.ModuleKind.CommonJS, experimentalDecorators: true };
      const { outputText } = ts.transpileModule(text, { compilerOptions });
      const exported: Record<string, new (data: object) => object> = {};
      new Function('exports', 'require', outputText)(exported, () => ({ QueueEntity: decorator }));
      const names = Object.values(exported).map((one) => one.name);
      expect(names.length, name).toBeGreaterThan(3);
      expect(names, name).toEqual(
        expect.arrayContaining(name === 'order2.ts' ? ['PlaceOrder', 'Note'] : ['place-order', 'delete']),
      );
      for (const one of Object.values(exported)) expect(new one({ id: 'i' })).toMatchObject({ id: 'i' });
    }
  });

  it('keeps what the schema says: descriptions, optional, union, nested, array, date, nullable, constants', () => {
    const text = textOf(classes, 'order2.ts');
    expect(text).toContain('/** Places *\\/ an order */\nexport interface PlaceOrderData {');
    expect(text).toContain('/** Format: date-time */\n  readonly at: string;');
    expect(text).toContain('/** Format: date */\n  readonly until: string | null;');
    expect(text).toContain('readonly gift?: boolean | {\n');
    expect(text).toContain('readonly coupon: string | null;');
    expect(text).toContain('readonly "odd name": 7;');
    expect(text).toContain('readonly size: readonly [number, number');
    expect(text).toContain('/** What is sold */\n');
    expect(text).toContain('readonly tags: readonly ("a" | "b")[];');
    expect(text).toContain('export interface PlaceOrder extends PlaceOrderData, Reply<PlaceOrderReply> {}');
  });

  it('follows a reference wherever in its document it points', () => {
    const payload = {
      type: 'object',
      properties: {
        id: { type: 'string' },
        same: { $ref: '#/properties/id' },
        half: { $ref: '#/$defs/50%25~1x' },
        none: { $ref: '#/$defs/absent' },
      },
      required: ['id', 'same', 'half', 'none'],
      $defs: { '50%/x': { type: 'number' } },
    };
    const files = generate('classes', modelsOf({ order: { Refer: { payload, idProperty: 'id' } } }));
    const use = `import { Refer } from './index.js';
      const { same, half, none } = new Refer({ id: 'i', same: 's', half: 1, none: {} });
      export const told: [string, number] = [same, half];
      // @ts-expect-error nothing is known of it
      export const unknown: string = none;`;
    expect(faultsOf([...files, { name: 'use.ts', text: use }])).toEqual([]);
  });

  it('gives a class the name of its message, and its type and id to the bus', async () => {
    const text = textOf(classes, 'order.v2.ts');
    for (const name of ['place-order', 'PlaceOrder', 'delete', '9 lives'])
      expect(text).toMatch(new RegExp(`Object\\.defineProperty\\(\\w+, 'name', { value: ${JSON.stringify(name)} }\\);`));
    expect(text).toContain('@QueueEntity("order.v2", "the id")');
  });

  it.each<Kind>(['classes', 'ts', 'json-schema', 'snapshot'])(
    'of kind %s is the same for the same registry, in whatever order',
    (kind) => {
      const reversed = Object.fromEntries(
        Object.entries(REGISTRY)
          .reverse()
          .map(([type, messages]) => [type, Object.fromEntries(Object.entries(messages).reverse())]),
      );
      expect(generate(kind, modelsOf(reversed))).toEqual(generate(kind, models));
    },
  );

  it('as JSON Schema is a document for each type, whose parts stand for themselves', () => {
    const files = generate('json-schema', models);
    const document = JSON.parse(textOf(files, 'order2.schema.json')) as {
      $defs: Record<string, { $id: string; required: string[] }>;
    };
    expect(Object.keys(document.$defs)).toEqual(['Either', 'PlaceOrder', 'PlaceOrder reply', 'Untyped']);
    expect(document.$defs['PlaceOrder reply']).toMatchObject({ $id: 'PlaceOrder%20reply', required: ['total'] });
  });
});
