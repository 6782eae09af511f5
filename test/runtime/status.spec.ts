import { describe, expect, it } from 'vitest';
import { statusWithoutNode } from '../../src/runtime/status.js';

describe('the status of an application without a node', () => {
  it('shows no member of any cluster, and no work', () => {
    expect(statusWithoutNode('stopped', 's1', 'orders')).toEqual({
      ...{ isReady: false, state: 'stopped', serverId: 's1', serviceGroup: 'orders', incarnation: 0, role: 'replica', epoch: 0 },
      ...{ suspended: false, leaseLeftMs: 0, degraded: undefined, network: undefined, owned: 0, running: 0, waiting: 0 },
      ...{ blocked: [], awaitingRoom: 0, peers: [] },
    });
  });
});
