import { describe, expect, it } from 'vitest';
import { publish, shapesOf } from '../../src/core/catalog.js';

describe('what services publish', () => {
  it('reads back what was published, whatever the order in which it was found', () => {
    const [payload, reply] = [{ type: 'string' }, { type: 'number' }];
    const one = publish(
      'account',
      new Map([
        ['Post', { payload, reply }],
        ['Read', {}],
      ]),
    );
    const other = publish(
      'account',
      new Map([
        ['Read', {}],
        ['Post', { reply, payload }],
      ]),
    );
    expect(other).toEqual(one);
    expect([...shapesOf(one.text)]).toEqual([
      ['Post', { payload, reply }],
      ['Read', {}],
    ]);
  });

  it.each(['', '{', 'null', '7', '{"Post":null,"Read":5}'])('allows everything where %j was published', (text) => {
    expect([...shapesOf(text)]).toEqual([]);
  });
});
