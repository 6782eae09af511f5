import { expect, it } from 'vitest';
import { HighWater } from '../../src/core/high-water.js';

const AT_JOIN = { incarnation: 3, fence: 5, epoch: 1, letter: 2 };
const GIVEN_MS = 100;

/** What a node remembers that has joined, and that the store made a master later, under epoch 2. */
function master(): HighWater {
  const highWater = new HighWater();
  expect(highWater.take(AT_JOIN, 0)).toBeUndefined();
  highWater.noteEpoch(2, GIVEN_MS);
  return highWater;
}

it('a store went back if it no longer holds the epoch that it gave, also if it had shown that epoch in no answer', () => {
  expect(master().take(AT_JOIN, GIVEN_MS)).toBe('its count of epochs went back from 2 to 1');
  expect(master().take({ ...AT_JOIN, epoch: 2 }, GIVEN_MS)).toBeUndefined();
});

it('a store did not go back if the call had left before the epoch was given', () => {
  const highWater = master();
  expect(highWater.take(AT_JOIN, GIVEN_MS - 1)).toBeUndefined();
  expect(highWater.take(AT_JOIN, GIVEN_MS)).toContain('epochs went back');
});

it.each(['incarnation', 'fence', 'epoch', 'letter'] as const)(
  'a store went back if its count of %s is lower than before',
  (name) => {
    const highWater = new HighWater();
    expect(highWater.take(AT_JOIN, 0)).toBeUndefined();
    expect(highWater.take(AT_JOIN, 1)).toBeUndefined();
    expect(highWater.take({ ...AT_JOIN, [name]: AT_JOIN[name] - 1 }, 2)).toMatch(`went back from ${AT_JOIN[name]} to`);
  },
);
