import { ADDRESS, BOOLEAN, type FieldSpec, field, integer, NAME, NON_EMPTY, optionalField, PEM, TIMER_MS_MAX } from './rules.js';
import type { GrpcPath } from './types.js';

const MS = { unit: 'ms' };
const SECRET = { secret: true };
const waitMs = integer(0, TIMER_MS_MAX);
const periodMs = integer(1, TIMER_MS_MAX);
const threshold = integer(1);

/** All fields of `grpc`. The compiler checks the table against the config types, so that no field is missing. */
export const GRPC_FIELDS = {
  'grpc.enabled': field(
    BOOLEAN,
    false,
    'Nodes talk directly, which is faster; without it several processes on one Redis are still one cluster, over Redis pub/sub.',
  ),
  'grpc.listenAddress': field(
    ADDRESS,
    '0.0.0.0:50051',
    'Where this node listens; bind a private interface, or give `tls` or `authToken`.',
  ),
  'grpc.advertisedAddress': optionalField(
    ADDRESS,
    'What peers dial; set it where the host name does not resolve for them (containers, NAT).',
    {
      fallbackText: 'hostname and the port of `listenAddress` (50051)',
    },
  ),
  'grpc.serverId': optionalField(
    NAME,
    'Stable ids (a pod or host name) let a restarted node recover its own work at once; no two processes may share one.',
    { fallbackText: 'a generated UUID' },
  ),
  'grpc.serviceGroup': field(
    NAME,
    'default',
    'Nodes of one group run the same handlers and share the work; give each service its own.',
  ),
  'grpc.maxForwardHops': field(
    integer(0),
    3,
    'How often a petition is passed on while masters change; more hops cost latency, not safety.',
  ),
  'grpc.maxConcurrentPetitions': field(
    integer(0),
    50,
    'Placements the master answers at once, 0 = unbounded; beyond it the preferred node of an entity takes it, whatever its load.',
  ),
  'grpc.heartbeatMs': field(
    periodMs,
    400,
    'Three must fit into `nodeTTLMs`; shorter finds dead nodes sooner and costs a store write each.',
    MS,
  ),
  'grpc.nodeTTLMs': field(
    periodMs,
    1500,
    'A node that is silent for so long is dead; raise it if nodes pause (GC, VM), takeover then waits longer.',
    MS,
  ),
  'grpc.reconcileIntervalMs': field(
    periodMs,
    2000,
    'The membership scan and the sweep for unplaced work; shorter heals sooner and reads the store more.',
    MS,
  ),
  'grpc.leaderTTLMs': field(
    periodMs,
    2000,
    'The record of the master lapses after this; raise it together with `nodeTTLMs`.',
    MS,
  ),
  'grpc.leaderRenewalMs': field(periodMs, 400, 'Must be shorter than `leaderTTLMs`; a fifth of it rides out lost calls.', MS),
  'grpc.leaderDebounceMs': field(
    waitMs,
    800,
    'A view must hold this long before the master changes; raise it if mastership flaps.',
    MS,
  ),
  'grpc.peerMonitorEnabled': field(
    BOOLEAN,
    true,
    'Watches the channels to peers, which finds dead ones before their lease ends.',
  ),
  'grpc.peerSuspectDebounceMs': field(waitMs, 500, 'How long a broken channel must stay so; raise it on a shaky network.', MS),
  'grpc.redisHealthCheckMs': field(periodMs, 500, 'Interval of the tiny test write; shorter notices a lost store sooner.', MS),
  'grpc.redisHealthFailureThreshold': field(
    threshold,
    3,
    'Failures in a row before new work is rejected; raise it if a short stall should not.',
  ),
  'grpc.circuitBreakerFailureThreshold': field(threshold, 3, 'Failures in a row before a peer is left alone for a while.'),
  'grpc.circuitBreakerCooldownMs': field(
    waitMs,
    2000,
    'How long it is left alone before one probe; its messages are delivered by sweep meanwhile.',
    MS,
  ),
  'grpc.tls.ca': optionalField(
    PEM,
    'Authority that signed the certificates of all nodes; with cert and key it makes mutual TLS.',
    SECRET,
  ),
  'grpc.tls.cert': optionalField(PEM, 'Certificate of this node.', SECRET),
  'grpc.tls.key': optionalField(PEM, 'Private key of this node; it is never printed.', SECRET),
  'grpc.authToken': optionalField(
    NON_EMPTY,
    'One secret for all nodes, checked on each call; use it with TLS, or it travels readable.',
    SECRET,
  ),
  'grpc.keepaliveTimeMs': field(periodMs, 10_000, 'Ping interval of idle channels; below 10000 servers refuse it.', MS),
  'grpc.keepaliveTimeoutMs': field(periodMs, 5000, 'How long a ping may take before the channel counts as broken.', MS),
  'grpc.takeoverHoldMs': optionalField(
    waitMs,
    'What was running on a dead node is held back so long; raise it for handlers slow to heed their signal.',
    {
      unit: 'ms',
      fallbackText: 'nodeTTLMs',
    },
  ),
  'grpc.leaseMarginMs': field(
    waitMs,
    150,
    'A node gives its lease up so much before others may take it; raise it if clocks drift.',
    MS,
  ),
  'grpc.loopStallLimitMs': field(
    periodMs,
    15_000,
    'A main loop that stands still for so long lets the lease go; raise it for long synchronous work.',
    MS,
  ),
  'grpc.deadlines.forwardMs': field(periodMs, 1500, 'A hint, petition or forward; raise it for distant nodes.', MS),
  'grpc.deadlines.pingMs': field(periodMs, 1000, 'An active probe of a suspected peer.', MS),
  'grpc.deadlines.andWaitMs': field(
    periodMs,
    60_000,
    '`enqueueAndWait` for a type that only other services handle; callers may pass their own.',
    MS,
  ),
  'grpc.deadlines.syncMs': field(
    periodMs,
    1000,
    'A new master waits so long for the workers of each node; raise it with many entities.',
    MS,
  ),
  'grpc.deadlines.connectivityWatchMs': field(
    periodMs,
    30_000,
    'The watch on a channel is set anew so often; rarely worth a change.',
    MS,
  ),
} as const satisfies Record<GrpcPath, FieldSpec<unknown>>;
