import { execFileSync, spawnSync } from 'node:child_process';
import { createFileRegistry, type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Batch, type Frame, type PeerMessage, RefusedReason } from '../../src/grpc/cluster.gen.js';
import { decodeFrame, encodeFrame } from '../../src/grpc/frames.js';
import { fromWire, toWire } from '../../src/grpc/messages.js';

// Code points only: a lone surrogate has no UTF-8, and none of ours reaches the wire.
const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('x'.repeat(300)));
const uint = fc.oneof(fc.nat(300), fc.maxSafeNat());
const small = fc.nat({ max: 2 ** 32 - 1 });
const time = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.nat()).map((value) => value + 0);
const some = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 4 });
const code = fc.nat(7);

const record = fc.record({
  ...{ id: text, given: fc.boolean(), digest: text, name: text, payload: text, headers: text, chain: text, waiter: uint },
  ...{ replayOf: text, seq: uint, attempt: small, notBeforeMs: time, enqueuedAtMs: time, error: text },
});
const a = <C extends string, T>(name: C, value: fc.Arbitrary<T>) => fc.record({ case: fc.constant(name), value });
const message: fc.Arbitrary<PeerMessage> = fc.oneof(
  a('wake', fc.record({ entity: text, message: fc.option(record, { nil: undefined }) })),
  a('reply', fc.record({ entity: text, id: text, seq: uint, state: fc.nat(3), detail: text })),
  a('petition', fc.record({ ticket: uint, entity: text, source: uint, hops: small })),
  a('placed', fc.record({ ticket: uint, owner: uint, refusal: code })),
  a('assign', fc.record({ ticket: uint, entity: text, epoch: uint })),
  a('assigned', fc.record({ ticket: uint, refusal: code })),
  a('listWorkers', fc.record({ ticket: uint, epoch: uint })),
  a('workers', fc.record({ ticket: uint, entities: some(text), last: fc.boolean() })),
  a('handover', fc.record({ epoch: uint, rows: some(fc.record({ entity: text, owner: uint })) })),
);
const member = fc.option(fc.record({ incarnation: uint, serverId: text, group: text }), { nil: undefined });
const hello = fc.record({
  ...{ protocol: small, keyPrefix: text, generation: text, sender: member, target: member, frameBytesMax: small },
});
const batch: fc.Arbitrary<Batch> = fc.record({ expiresAtMs: time, messages: some(message) });
const frame: fc.Arbitrary<Frame> = fc.oneof(
  a('hello', hello),
  a('welcome', fc.record({ frameBytesMax: small })),
  a('refused', fc.record({ reason: fc.constantFrom(...Object.values(RefusedReason)) })),
  a('batch', batch),
  a('ping', uint),
  a('pong', uint),
);

describe('the contract', () => {
  it('has checked-in code that is current', () => {
    const { status, stdout } = spawnSync(process.execPath, ['scripts/gen-proto.mjs', '--check'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  });
});

describe('the codec', () => {
  let schema: DescMessage;
  beforeAll(() => {
    const image = execFileSync('node_modules/.bin/buf', ['build', 'proto', '-o', '-#format=binpb']);
    const found = createFileRegistry(fromBinary(FileDescriptorSetSchema, image)).getMessage('atomicqueues.v1.Frame');
    if (found === undefined) throw new Error('the contract has no Frame');
    schema = found;
  });

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(frame, (sent) => {
        expect(decodeFrame(encodeFrame(sent))).toEqual(sent);
      }),
    );
  });

  it('writes, byte for byte, what protobuf-es writes, and reads what that wrote', () => {
    fc.assert(
      fc.property(frame, (sent) => {
        const ours = encodeFrame(sent);
        const theirs = fromBinary(schema, ours);
        expect(Buffer.from(toBinary(schema, theirs)).equals(ours)).toBe(true);
        expect(toBinary(schema, fromJson(schema, toJson(schema, theirs)))).toEqual(new Uint8Array(ours));
      }),
    );
  });

  it('skips what a later version added', () => {
    const later: JsonValue = { ping: '7' };
    const bytes = Buffer.from(toBinary(schema, fromJson(schema, later)));
    // Fields 100 to 103: a number, 8 bytes, a text, 4 bytes.
    const unknown = Buffer.from('a006ffffffffffffffffff01a9060102030405060708b20603616263bd0601020304', 'hex');
    expect(decodeFrame(Buffer.concat([unknown, bytes, unknown]))).toEqual({ case: 'ping', value: 7 });
    expect(decodeFrame(unknown)).toBeUndefined();
  });

  it('ends with a frame or nothing, whatever the bytes are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeFrame(Buffer.from(bytes))));
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(255), (sent, where, what) => {
        const bytes = Buffer.from(encodeFrame(sent));
        if (bytes.length > 0) bytes[where % bytes.length] = what;
        decodeFrame(bytes);
        decodeFrame(bytes.subarray(0, where % (bytes.length + 1)));
      }),
    );
    for (const hex of ['', '00', 'ff', '0a', '0aff', 'ffffffffffffffffffff01', '28ffffffffffffffffff01', '2b', '22ffffffff0f'])
      expect(decodeFrame(Buffer.from(hex, 'hex')), hex).toBeUndefined();
  });

  it('carries no number that JavaScript would round', () => {
    for (const value of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => encodeFrame({ case: 'ping', value }), String(value)).toThrow(/whole number/);
    const max = Number.MAX_SAFE_INTEGER;
    expect(decodeFrame(encodeFrame({ case: 'ping', value: max }))).toEqual({ case: 'ping', value: max });
  });

  it('knows no message without a meaning: none, or with a state or refusal of a later version', () => {
    const reply = (state: number): PeerMessage => ({ case: 'reply', value: { entity: 'e', id: 'i', seq: 7, state, detail: '' } });
    expect([fromWire(undefined), fromWire(reply(0)), fromWire(reply(9))]).toEqual([undefined, undefined, undefined]);
    expect(fromWire({ case: 'placed', value: { ticket: 1, owner: 2, refusal: 99 } })).toBeUndefined();
    expect(fromWire(reply(2))).toEqual({ kind: 'reply', entity: 'e', id: 'i', seq: 7, state: 'failed', detail: '' });
    expect(toWire({ kind: 'assigned', ticket: 1, refusal: undefined })).toEqual({
      case: 'assigned',
      value: { ticket: 1, refusal: 0 },
    });
  });
});
