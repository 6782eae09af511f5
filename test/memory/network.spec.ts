import { expect, test } from 'vitest';
import { LoopbackHub, LoopbackNetwork } from '../../src/memory/network.js';
import type { Clock } from '../../src/ports/clock.js';
import type { PeerMessage } from '../../src/ports/network.js';

const wake = (entity: string): PeerMessage => ({ kind: 'wake', entity, message: undefined });

function stage() {
  const deferred: (() => void)[] = [];
  const clock = { defer: (run) => void deferred.push(run) } as Partial<Clock> as Clock;
  const hub = new LoopbackHub();
  const got: string[] = [];
  const join = (incarnation: number) => {
    const network = new LoopbackNetwork(hub, clock);
    network.listen(incarnation, (message, from) =>
      got.push(`${from}->${incarnation} ${message.kind === 'wake' ? message.entity : message.kind}`),
    );
    return network;
  };
  const flush = (): void => {
    for (const run of deferred.splice(0)) run();
  };
  return { got, join, flush };
}

test('delivers later, in order, to whom it is addressed, itself included', () => {
  const { got, join, flush } = stage();
  const [first, second] = [join(1), join(2)];
  first.send(2, wake('a'));
  first.send(2, wake('b'));
  second.send(1, wake('c'));
  second.send(2, wake('d'));
  second.send(9, wake('e'));
  expect(got).toEqual([]);
  flush();
  expect(got).toEqual(['1->2 a', '1->2 b', '2->1 c', '2->2 d']);
});

test('a new incarnation does not hear what was sent to the one before, and a closed one hears and says nothing', async () => {
  const { got, join, flush } = stage();
  const [first, second] = [join(1), join(2)];
  second.send(1, wake('to the old one'));
  first.listen(3, () => got.push('new'));
  flush();
  expect(got).toEqual([]);
  second.send(3, wake('to the new one'));
  flush();
  expect(got).toEqual(['new']);
  second.send(3, wake('too late'));
  await first.close();
  first.send(2, wake('from a closed one'));
  flush();
  expect(got).toEqual(['new']);
});
