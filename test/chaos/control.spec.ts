import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Control } from '../../chaos/control.js';
import type { Send } from '../../chaos/wire.js';

const SEND: Send = {
  ...({ entity: 'plain:a', how: 'enqueue', probe: false } as const),
  job: { c: 'm1', op: 'deposit', amount: 1, ms: 1, how: 'ok' },
};

it('the peer of a process that is gone leaves no call without an answer', async () => {
  const control = await Control.open(
    '127.0.0.1',
    () => 0,
    () => undefined,
  );
  const socket = connect(control.port, '127.0.0.1');
  socket.write('{"kind":"hello","name":"n1","run":1}\n');
  while (!control.peers.has('n1')) await sleep(5);
  const peer = control.peers.get('n1');
  const before = peer?.call(SEND);
  socket.destroy();
  expect(await before).toBeUndefined();
  expect(await peer?.call(SEND)).toBeUndefined();
  expect(await peer?.status()).toMatchObject({ state: 'silent' });
  control.close();
});
