import { expect, test } from 'vitest';
import { Outbox } from '../../src/core/outbox.js';
import { OUTBOX_LIMITS } from '../../src/redis/outbox-limits.js';

const { targetItemsMax: TARGET_MESSAGES_MAX, targetBytesMax: TARGET_BYTES_MAX } = OUTBOX_LIMITS;
const newOutbox = (): Outbox<string> => new Outbox<string>(OUTBOX_LIMITS, Buffer.byteLength);

function drained(outbox: Outbox<string>): { to: number; items: readonly string[] }[] {
  const frames = [];
  for (let frame = outbox.take(); frame !== undefined; frame = outbox.take()) {
    expect(frame.bytes).toBe(Buffer.byteLength(frame.items.join('')));
    frames.push({ to: frame.to, items: frame.items });
  }
  return frames;
}

test('keeps the order of a target, takes the targets in turn, and cuts frames', () => {
  const outbox = newOutbox();
  const full = Array.from({ length: 600 }, (_, i) => outbox.push(1, `a${i}`));
  expect(full.indexOf(true)).toBe(511);
  outbox.push(2, 'b');
  const frames = drained(outbox);
  expect(frames.map(({ to, items }) => [to, items.length])).toEqual([
    [1, 512],
    [2, 1],
    [1, 88],
  ]);
  expect([...(frames[0]?.items ?? []), ...(frames[2]?.items ?? [])]).toEqual(Array.from({ length: 600 }, (_, i) => `a${i}`));
  expect(outbox.dropped).toBe(0);
});

test('a large message travels alone, and one that no box holds is dropped', () => {
  const outbox = newOutbox();
  outbox.push(1, 'a');
  expect(outbox.push(1, 'é'.repeat(300 * 1024))).toBe(true);
  outbox.push(1, 'b');
  outbox.push(1, 'x'.repeat(TARGET_BYTES_MAX + 1));
  expect(drained(outbox).map(({ items }) => items.map(({ length }) => length))).toEqual([[1], [300 * 1024], [1]]);
  expect(outbox.dropped).toBe(1);
});

test('drops the oldest of a target beyond its number or its bytes, and the newest beyond the bytes of all', () => {
  const outbox = newOutbox();
  for (let i = 0; i < TARGET_MESSAGES_MAX + 3; i++) outbox.push(1, `${i}`);
  expect(outbox.dropped).toBe(3);
  expect(drained(outbox)[0]?.items[0]).toBe('3');
  const quarter = TARGET_BYTES_MAX / 4;
  for (const letter of 'abcde') outbox.push(1, letter.repeat(quarter));
  expect(outbox.dropped).toBe(4);
  expect(drained(outbox).map(({ items }) => items[0]?.[0])).toEqual(['b', 'c', 'd', 'e']);
  for (let to = 1; to <= 17; to++) outbox.push(to, 'x'.repeat(TARGET_BYTES_MAX));
  expect(outbox.dropped).toBe(5);
  outbox.clear();
  expect(outbox.dropped).toBe(21);
  expect(outbox.take()).toBeUndefined();
});

test('gives one target what waits for it, and forgets another', () => {
  const outbox = newOutbox();
  for (const [to, text] of [
    [1, 'a'],
    [2, 'b'],
    [1, 'c'],
    [3, 'd'],
  ] as const)
    outbox.push(to, text);
  expect(outbox.takeFor(1)).toEqual({ to: 1, items: ['a', 'c'], bytes: 2 });
  expect([outbox.takeFor(1), outbox.oldest(1), outbox.oldest(2), outbox.targets()]).toEqual([undefined, undefined, 'b', [2, 3]]);
  outbox.drop(2);
  outbox.drop(4);
  expect([outbox.targets(), outbox.dropped]).toEqual([[3], 1]);
});
