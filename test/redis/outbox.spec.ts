import { expect, test } from 'vitest';
import { Outbox, TARGET_BYTES_MAX, TARGET_MESSAGES_MAX } from '../../src/redis/outbox.js';

function drained(outbox: Outbox): { to: number; texts: readonly string[] }[] {
  const frames = [];
  for (let frame = outbox.take(); frame !== undefined; frame = outbox.take()) {
    expect(frame.bytes).toBe(Buffer.byteLength(frame.texts.join('')));
    frames.push({ to: frame.to, texts: frame.texts });
  }
  return frames;
}

test('keeps the order of a target, takes the targets in turn, and cuts frames', () => {
  const outbox = new Outbox();
  const full = Array.from({ length: 600 }, (_, i) => outbox.push(1, `a${i}`));
  expect(full.indexOf(true)).toBe(511);
  outbox.push(2, 'b');
  const frames = drained(outbox);
  expect(frames.map(({ to, texts }) => [to, texts.length])).toEqual([
    [1, 512],
    [2, 1],
    [1, 88],
  ]);
  expect([...(frames[0]?.texts ?? []), ...(frames[2]?.texts ?? [])]).toEqual(Array.from({ length: 600 }, (_, i) => `a${i}`));
  expect(outbox.dropped).toBe(0);
});

test('a large message travels alone, and one that no box holds is dropped', () => {
  const outbox = new Outbox();
  outbox.push(1, 'a');
  expect(outbox.push(1, 'é'.repeat(300 * 1024))).toBe(true);
  outbox.push(1, 'b');
  outbox.push(1, 'x'.repeat(TARGET_BYTES_MAX + 1));
  expect(drained(outbox).map(({ texts }) => texts.map(({ length }) => length))).toEqual([[1], [300 * 1024], [1]]);
  expect(outbox.dropped).toBe(1);
});

test('drops the oldest of a target beyond its number or its bytes, and the newest beyond the bytes of all', () => {
  const outbox = new Outbox();
  for (let i = 0; i < TARGET_MESSAGES_MAX + 3; i++) outbox.push(1, `${i}`);
  expect(outbox.dropped).toBe(3);
  expect(drained(outbox)[0]?.texts[0]).toBe('3');
  const quarter = TARGET_BYTES_MAX / 4;
  for (const letter of 'abcde') outbox.push(1, letter.repeat(quarter));
  expect(outbox.dropped).toBe(4);
  expect(drained(outbox).map(({ texts }) => texts[0]?.[0])).toEqual(['b', 'c', 'd', 'e']);
  for (let to = 1; to <= 17; to++) outbox.push(to, 'x'.repeat(TARGET_BYTES_MAX));
  expect(outbox.dropped).toBe(5);
  outbox.clear();
  expect(outbox.dropped).toBe(21);
  expect(outbox.take()).toBeUndefined();
});
