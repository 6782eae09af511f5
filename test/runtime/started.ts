/** Nodes of one test: a config in which everything happens soon, and their end with the test. */
import { afterEach, expect } from 'vitest';
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { Node } from '../../src/runtime/node.js';
import { type Handle, node, type World } from './harness.js';

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

/** A node with a short grace, under way. */
export async function start(
  w: World,
  handle: Handle,
  config: Record<string, unknown> = {},
  names?: readonly string[],
): Promise<Node> {
  const n = node(w, handle, { shutdownGraceMs: 300, ...config }, names);
  started.push(n);
  await n.start();
  return n;
}

/** The error that the call has to end with. */
export const codeOf = (promise: Promise<unknown>): Promise<AtomicQueuesError> =>
  promise.then(
    () => Promise.reject(new Error('it should have failed')),
    (error) => {
      expect(error).toBeInstanceOf(AtomicQueuesError);
      return error as AtomicQueuesError;
    },
  );
