import { describe, expect, it } from 'vitest';
import { applyControl } from '../../src/core/log/apply.js';
import type { JoinOp } from '../../src/core/log/control-operations.js';
import { PartitionState } from '../../src/core/log/state.js';

const SETTINGS = {
  leaseTtlMs: 1500,
  takeoverHoldMs: 1500,
  entryTtlMs: 1000,
  resultTtlMs: 1000,
  depthMax: 0,
  leaderTtlMs: 2000,
  leaderDebounceMs: 800,
};
const CONTRACT = { type: 'account', maxAttempts: 1, onInterrupt: 'dead-letter', names: ['Do'], depthMax: 0 } as const;
const join = (serverId: string, group = 'g'): JoinOp => ({
  op: 'join',
  serverId,
  group,
  address: '',
  token: serverId,
  schema: 1,
  generation: 'x',
  workersMax: 0,
  settings: SETTINGS,
  contracts: [CONTRACT],
});

const identity = (state: PartitionState, incarnation: number) => ({
  ...{ generation: 'x', incarnation, token: state.members.get(incarnation)?.token ?? '' },
});

function cluster(...ids: string[]) {
  const state = new PartitionState();
  for (const id of ids) applyControl(state, join(id), 0);
  const heartbeatAll = (atMs: number): void => {
    for (const m of state.members.values())
      applyControl(
        state,
        { op: 'heartbeat', ...identity(state, m.incarnation), heartbeat: m.heartbeat + 1, acknowledged: 0 },
        atMs,
      );
  };
  const lead = (incarnation: number, atMs: number) => applyControl(state, { op: 'lead', ...identity(state, incarnation) }, atMs);
  return { state, beatAll: heartbeatAll, lead };
}

describe('leadership (I6: no epoch has two masters)', () => {
  it('goes to the lowest id that lives, after the debounce, and is renewed under the same epoch', () => {
    const { beatAll: heartbeatAll, lead } = cluster('n1', 'n2');
    expect(lead(1, 100)).toMatchObject({ ok: false, code: 'TOO_EARLY', at: 800 });
    heartbeatAll(1000);
    expect(lead(2, 1000)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 1 });
    expect(lead(1, 1000)).toMatchObject({ ok: true, epoch: 1, untilMs: 3000 });
    expect(lead(1, 1500)).toMatchObject({ ok: true, epoch: 1, untilMs: 3500 });
    heartbeatAll(2000);
    expect(lead(2, 2000)).toMatchObject({ ok: false, code: 'LED', at: 1 });
  });

  it('does not wait for a clock that was set back to come to the time of the join again', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster();
    applyControl(state, join('n1'), 60_000);
    heartbeatAll(100);
    expect(lead(1, 200)).toMatchObject({ ok: true, epoch: 1, untilMs: 2200 });
  });

  it('is not for those that only send, nor do they stand in the way of others', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster('n2', 'n3');
    for (const id of ['n0', 'n1']) applyControl(state, { ...join(id), contracts: [] }, 0);
    heartbeatAll(1000);
    expect(lead(3, 1000)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 1 });
    expect(lead(1, 1000)).toMatchObject({ ok: true, epoch: 1 });
    for (const incarnation of [3, 4])
      applyControl(state, { op: 'report', ...identity(state, incarnation), eligible: false, unreachable: [1] }, 1000);
    heartbeatAll(2000);
    expect(lead(1, 2000)).toMatchObject({ ok: true, epoch: 1 });
  });

  it('passes over who has let its record lapse, whatever its lease says, while there is another', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster('n1', 'n2', 'n3');
    heartbeatAll(1000);
    expect(lead(1, 1000)).toMatchObject({ ok: true, epoch: 1 });
    heartbeatAll(2500);
    heartbeatAll(3000);
    expect(lead(3, 3000)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 2 });
    expect(lead(2, 3000)).toMatchObject({ ok: true, epoch: 2 });
    expect(lead(1, 3001)).toMatchObject({ ok: false, code: 'LED', at: 2 });
    // Once another has led it is as before; and who is alone may lead again.
    heartbeatAll(4400);
    heartbeatAll(5000);
    expect(lead(1, 5000)).toMatchObject({ ok: true, epoch: 3 });
    for (const incarnation of [2, 3])
      applyControl(state, { op: 'leave', ...identity(state, incarnation), lastHeartbeat: 0, lastBatch: 0 }, 5001);
    heartbeatAll(6000);
    heartbeatAll(7000);
    expect(lead(1, 7000)).toMatchObject({ ok: true, epoch: 4 });
  });

  it('passes to another only when the record has lapsed, under a higher epoch', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster('n1', 'n2');
    heartbeatAll(1000);
    lead(1, 1000);
    applyControl(state, { op: 'heartbeat', ...identity(state, 2), heartbeat: 99, acknowledged: 0 }, 2900);
    expect(lead(2, 2999)).toMatchObject({ ok: false, code: 'LED' });
    expect(lead(2, 3000)).toMatchObject({ ok: true, epoch: 2 });
    expect(lead(1, 3001)).toMatchObject({ ok: false, code: 'FENCED' });
  });

  it('is one per service group', () => {
    const { state, lead } = cluster('n2');
    applyControl(state, join('n1', 'other'), 0);
    applyControl(state, { op: 'heartbeat', ...identity(state, 1), heartbeat: 1, acknowledged: 0 }, 1000);
    applyControl(state, { op: 'heartbeat', ...identity(state, 2), heartbeat: 1, acknowledged: 0 }, 1000);
    expect([lead(1, 1000), lead(2, 1000)]).toMatchObject([{ epoch: 1 }, { epoch: 2 }]);
  });

  it('passes over a node that most of the others cannot reach, and that one makes way when it leads', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster('n1', 'n2', 'n3');
    const report = (incarnation: number, eligible: boolean, unreachable: number[]) =>
      applyControl(state, { op: 'report', ...identity(state, incarnation), eligible, unreachable }, 0);
    heartbeatAll(1000);
    expect(lead(1, 1000)).toMatchObject({ ok: true, epoch: 1 });
    report(2, true, [1]);
    expect(lead(1, 1100)).toMatchObject({ ok: true, epoch: 1 });
    report(3, true, [1]);
    expect(lead(1, 1200)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 2 });
    heartbeatAll(3000);
    expect(lead(3, 3100)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 2 });
    expect(lead(2, 3100)).toMatchObject({ ok: true, epoch: 2 });
  });

  it('passes over a node that does not want to lead, but rather follows it than nobody', () => {
    const { state, beatAll: heartbeatAll, lead } = cluster('n1', 'n2');
    const resign = (incarnation: number) =>
      applyControl(state, { op: 'report', ...identity(state, incarnation), eligible: false, unreachable: [] }, 0);
    heartbeatAll(1000);
    resign(1);
    expect(lead(1, 1000)).toMatchObject({ ok: false, code: 'NOT_LOWEST', at: 2 });
    resign(2);
    expect(lead(1, 1000)).toMatchObject({ ok: true });
  });
});
