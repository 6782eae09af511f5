import { describe, expect, it } from 'vitest';
import { TraceOrder } from '../../sim/trace-order.js';
import { append, broken, end, final, healed, move, ON1, type Raw, start } from './history.js';

const R = 'retried:r';

const failure = (isRefusal: boolean, attempt = 1): Raw =>
  ({ ...end(R, 1, '', ON1, attempt), outcome: 'failed', ...(isRefusal && { isRefusal }) }) as Raw;
const begun: Raw[] = [append('c1', R, 1), move(R, 1, 'dispatched'), start('c1', R, 1)];
const again: Raw[] = [move(R, 1, 'dispatched', { attempt: 2 }), start('c1', R, 1, ON1, 2)];
const letter: Raw = { kind: 'letter', ...ON1, letter: '1', entity: R, id: 'id-c1', seq: 1, attempt: 2, reason: 'failed' };
const second: Raw[] = [...again, failure(false, 2), move(R, 1, 'failed', { attempt: 2 }), letter];

describe('the checker of attempts', () => {
  it('wants another attempt after a failure, and none after a refusal or the last one', () => {
    expect(broken([...begun, failure(false), move(R, 1, 'enqueued'), ...second])).toEqual([]);
    expect(broken([...begun, failure(true), move(R, 1, 'failed', { noDeadLetter: true })])).toEqual([]);
    expect(broken([...begun, failure(true), move(R, 1, 'enqueued'), ...second])).toEqual(['I1']);
    expect(broken([...begun, failure(false), move(R, 1, 'failed'), { ...letter, attempt: 1 } as Raw])).toEqual(['I1']);
  });

  it('says nothing of an attempt that another node has given up', () => {
    expect(broken([...begun, failure(true), move(R, 1, 'enqueued', { attempt: 0 }), ...second])).toEqual([]);
  });
});

describe('the checker of signals', () => {
  const lost = (state: 'suspended' | 'lease-lost'): Raw => ({ kind: 'node', ...ON1, state });
  const aborted: Raw = { kind: 'abort', ...ON1, entity: R, seq: 1, attempt: 1 };

  it('wants the signal of each handler aborted that runs as its node loses its lease', () => {
    expect(broken([...begun, lost('suspended'), aborted])).toEqual([]);
    expect(broken([...begun, aborted, lost('lease-lost')])).toEqual([]);
    expect(broken([...begun, lost('suspended')])).toEqual(['I2']);
    expect(broken([...begun, lost('lease-lost'), { ...aborted, at: 100 }])).toEqual(['I2']);
  });

  it('wants nothing of those that have ended, or that run elsewhere', () => {
    expect(broken([...begun, end(R, 1, '5'), lost('suspended')])).toEqual([]);
    expect(broken([...begun, { kind: 'node', node: 'n2', incarnation: 2, state: 'suspended' }])).toEqual([]);
  });
});

describe('the checker of what is kept for a time', () => {
  it('wants an end for each', () => {
    const holding = (ends: number): Raw[] => {
      const holds = { 'AvoidedEntities.untilMs': 2, ...(ends > 0 && { 'AvoidedEntities.ends': ends }) };
      const node = { node: 'n1', state: 'running', running: 0, waiting: 0, timers: 5, owned: 0, holds };
      return [healed, final({ nodes: [node] })];
    };
    expect(broken(holding(3))).toEqual([]);
    expect(broken(holding(1))).toEqual(['I7']);
    expect(broken(holding(0))).toEqual(['I7']);
  });
});

describe('the order of what a node reports', () => {
  const blocked = { entity: 'plain:a', id: '1', name: 'deposit', forMs: 1 };

  it('lets an end follow its beginning, again and again, and each by itself', () => {
    const order = new TraceOrder();
    for (let i = 0; i < 2; i++) {
      expect(order.take('degraded', { why: '' })).toBeUndefined();
      expect(order.take('blocked', blocked)).toBeUndefined();
      expect(order.take('blocked', { ...blocked, entity: 'plain:b' })).toBeUndefined();
      expect(order.take('recovered', {})).toBeUndefined();
      expect(order.take('unblocked', blocked)).toBeUndefined();
      expect(order.take('unblocked', { ...blocked, entity: 'plain:b' })).toBeUndefined();
    }
  });

  it('refuses an end without a beginning, a second beginning, and all that comes after the stop', () => {
    const order = new TraceOrder();
    expect(order.take('network-restored', {})).toBe('reports "network-restored" without "network-failing" before it');
    expect(order.take('leading', { epoch: 1 })).toBeUndefined();
    expect(order.take('leading', { epoch: 2 })).toBe('reports "leading" twice in a row');
    expect(order.take('stopped', { running: 0, pending: 0 })).toBeUndefined();
    expect(order.take('stepped-down', { epoch: 1 })).toBe('reports "stepped-down" after it has stopped');
  });

  it('refuses a node that comes back where it had to end', () => {
    for (const exits of [true, false]) {
      const order = new TraceOrder(exits);
      expect(order.take('joined', { incarnation: 1, serverId: 'n1' })).toBeUndefined();
      expect(order.take('lease-lost', { incarnation: 1, why: '' })).toBeUndefined();
      const wrong = exits ? 'joins again after it has lost its lease' : undefined;
      expect(order.take('joined', { incarnation: 2, serverId: 'n1' })).toBe(wrong);
    }
  });

  it('forgets with the session what waited for memory', () => {
    const order = new TraceOrder();
    expect(order.take('sends-wait', { why: '' })).toBeUndefined();
    expect(order.take('lease-lost', { incarnation: 1, why: '' })).toBeUndefined();
    expect(order.take('sends-wait', { why: '' })).toBeUndefined();
    expect(order.take('sends-go-on', { why: '' })).toBeUndefined();
  });
});
