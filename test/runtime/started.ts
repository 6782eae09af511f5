/** Nodes of one test: a config in which everything happens soon, and their end with the test. */
import { afterEach } from 'vitest';
import type { Node } from '../../src/runtime/node.js';

/** They are stopped after the test. */
export const started: Node[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((n) => n.stop()));
});

const GRPC = {
  heartbeatMs: 40,
  nodeTTLMs: 300,
  leaseMarginMs: 20,
  reconcileIntervalMs: 300,
  takeoverHoldMs: 100,
  redisHealthCheckMs: 40,
  leaderTTLMs: 300,
  leaderRenewalMs: 40,
  leaderDebounceMs: 50,
  deadlines: { syncMs: 60, forwardMs: 200 },
};

/** `grpc`: what is other than usual. */
export const fast = (grpc: Partial<typeof GRPC> = {}, shutdownGraceMs = 500) => ({ shutdownGraceMs, grpc: { ...GRPC, ...grpc } });
