// node scripts/gen-proto.mjs [--check]: lints proto/ with buf and writes the codec of its messages, src/grpc/cluster.gen.ts,
// which uses src/grpc/wire.ts. With --check it writes nothing and fails if that file is stale.
//
// A custom generator fits the use of the messages: numbers are plain numbers (no bigint, at most 2^53 - 1), every field is
// present (no optional chaining, one hidden class), a message with a oneof is a union, and users install no protobuf runtime
// besides the gRPC package. test/grpc/codec.spec.ts compares the codec with protobuf-es.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './compile.mjs';

const TARGET = join(ROOT, 'src/grpc/cluster.gen.ts');
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

function run(command, args, input) {
  const result = spawnSync(join(ROOT, 'node_modules/.bin', command), args, { cwd: ROOT, encoding: 'utf8', input });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

const upper = (text) => text[0].toUpperCase() + text.slice(1);
/** Returns the type name: `.atomicqueues.v1.Refused.Reason` becomes `RefusedReason`. */
const typeOf = (name, pkg) => name.slice(`.${pkg}.`.length).replaceAll('.', '');
const screaming = (name) => name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();

const SCALARS = {
  TYPE_UINT64: { ts: 'number', zero: '0', wire: VARINT, call: 'uint' },
  TYPE_UINT32: { ts: 'number', zero: '0', wire: VARINT, call: 'uint' },
  TYPE_ENUM: { ts: 'number', zero: '0', wire: VARINT, call: 'uint' },
  TYPE_DOUBLE: { ts: 'number', zero: '0', wire: FIXED64, call: 'double' },
  TYPE_BOOL: { ts: 'boolean', zero: 'false', wire: VARINT, call: 'bool' },
  TYPE_STRING: { ts: 'string', zero: "''", wire: BYTES, call: 'string' },
};

function fieldOf(field, pkg) {
  const { name, jsonName, number, label, type, typeName, oneofIndex } = field;
  const isMessage = type === 'TYPE_MESSAGE';
  const scalar = SCALARS[type];
  if (!isMessage && scalar === undefined) throw new Error(`${name}: the generator knows no ${type}`);
  return {
    name: jsonName,
    isRepeated: label === 'LABEL_REPEATED',
    isMessage,
    isInOneof: oneofIndex !== undefined,
    type: isMessage ? typeOf(typeName, pkg) : scalar.ts,
    scalar,
    tag: number * 8 + (isMessage ? BYTES : scalar.wire),
  };
}

function flatten(messages, enums, prefix, out) {
  for (const { name, enumType } of messages)
    for (const e of enumType ?? []) out.enums.push({ ...e, name: prefix + name + e.name });
  for (const message of messages) {
    out.messages.push({ ...message, name: prefix + message.name });
    flatten(message.nestedType ?? [], [], prefix + message.name, out);
  }
  out.enums.push(...enums);
  return out;
}

function enumText({ name, value }) {
  const own = /([A-Z][a-z]+)$/.exec(name)[1];
  const rows = value.map((v) => `${v.name.slice(screaming(own).length + 1)}: ${v.number ?? 0}`);
  return `export const ${name} = { ${rows.join(', ')} } as const;\n`;
}

function structText(name, fields, unions) {
  const tsOf = (f) => {
    if (f.isRepeated) return `readonly ${unions.has(f.type) ? `(${f.type} | undefined)` : f.type}[]`;
    return f.isMessage ? `${f.type} | undefined` : f.type;
  };
  const writes = fields.toReversed().map((f) => {
    const value = `m.${f.name}`;
    const one = (text) =>
      f.isMessage
        ? `{ const start = w.length; write${f.type}(w, ${text}); w.close(${f.tag}, start); }`
        : `w.${f.scalar.call}(${f.tag}, ${text});`;
    if (f.isRepeated) {
      const guard = unions.has(f.type) ? 'if (item !== undefined)' : '';
      return `for (let i = ${value}.length - 1; i >= 0; i--) { const item = ${value}[i] as ${f.type}; ${guard} ${one('item')} }`;
    }
    return `if (${value} !== ${f.isMessage ? 'undefined' : f.scalar.zero}) ${one(value)}`;
  });
  const starts = fields.map((f) => {
    if (f.isRepeated) return `const ${f.name}: ${tsOf(f).replace('readonly ', '')} = [];`;
    return f.isMessage ? `let ${f.name}: ${tsOf(f)};` : `let ${f.name} = ${f.scalar.zero};`;
  });
  const cases = fields.map((f) => {
    const read = f.isMessage ? `read${f.type}(r, r.end())` : `r.${f.scalar.call}()`;
    return `case ${f.tag}: ${f.isRepeated ? `${f.name}.push(${read})` : `${f.name} = ${read}`}; break;`;
  });
  return `
export interface ${name} { ${fields.map((f) => `readonly ${f.name}: ${tsOf(f)};`).join('\n')} }

export function write${name}(w: Writer, m: ${name}): void { ${writes.join('\n')} }

export function read${name}(r: Reader, end: number): ${name} {
  ${starts.join('\n')}
  while (r.at < end) {
    const tag = r.tag();
    switch (tag) { ${cases.join('\n')} default: r.skip(tag); }
  }
  r.ended(end);
  return { ${fields.map((f) => f.name).join(', ')} };
}
`;
}

function unionText(name, fields) {
  const writes = fields.map((f) => {
    const write = f.isMessage
      ? `const start = w.length; write${f.type}(w, m.value); w.close(${f.tag}, start);`
      : `w.${f.scalar.call}(${f.tag}, m.value);`;
    return `case '${f.name}': { ${write} break; }`;
  });
  const cases = fields.map((f) => {
    const read = f.isMessage ? `read${f.type}(r, r.end())` : `r.${f.scalar.call}()`;
    return `case ${f.tag}: m = { case: '${f.name}', value: ${read} }; break;`;
  });
  return `
export type ${name} = ${fields.map((f) => `| { readonly case: '${f.name}'; readonly value: ${f.type} }`).join('\n')};

export function write${name}(w: Writer, m: ${name}): void { switch (m.case) { ${writes.join('\n')} } }

/** Undefined for what this version does not know. */
export function read${name}(r: Reader, end: number): ${name} | undefined {
  let m: ${name} | undefined;
  while (r.at < end) {
    const tag = r.tag();
    switch (tag) { ${cases.join('\n')} default: r.skip(tag); }
  }
  r.ended(end);
  return m;
}
`;
}

function methodsText({ name, method }, pkg) {
  const rows = method.map((m) => `${upper(m.name)}: '/${pkg}.${name}/${m.name}'`);
  return `export const METHODS = { ${rows.join(', ')} } as const;\n`;
}

function generate() {
  run('buf', ['lint', 'proto']);
  const image = JSON.parse(run('buf', ['build', 'proto', '-o', '-#format=json', '--exclude-source-info']));
  const [file] = image.file;
  const { messages, enums } = flatten(file.messageType, file.enumType ?? [], '', { messages: [], enums: [] });
  const structs = messages.map(({ name, field }) => ({ name, fields: field.map((f) => fieldOf(f, file.package)) }));
  const unions = new Set(structs.filter(({ fields }) => fields.some((f) => f.isInOneof)).map(({ name }) => name));
  for (const { name, fields } of structs)
    if (unions.has(name) && !fields.every((f) => f.isInOneof)) throw new Error(`${name}: fields beside a oneof`);
  const text = [
    '// Generated by scripts/gen-proto.mjs from proto/: do not edit.\n',
    "import type { Reader, Writer } from './wire.js';\n\n",
    ...file.service.map((service) => methodsText(service, file.package)),
    ...enums.map(enumText),
    ...structs.map(({ name, fields }) => (unions.has(name) ? unionText(name, fields) : structText(name, fields, unions))),
  ].join('');
  return run('biome', ['format', '--stdin-file-path=src/grpc/cluster.gen.ts'], text);
}

const generated = generate();
if (!process.argv.includes('--check')) writeFileSync(TARGET, generated);
else if (!existsSync(TARGET) || readFileSync(TARGET, 'utf8') !== generated) {
  process.stdout.write('src/grpc/cluster.gen.ts is stale: run node scripts/gen-proto.mjs\n');
  process.exitCode = 1;
}
