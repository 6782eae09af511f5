import type { ChannelOptions } from '@grpc/grpc-js';
import type { IGrpcTlsConfig } from '../core/config/types.js';
import type { OutboxLimits } from '../core/outbox.js';
import type { Clock } from '../ports/clock.js';
import type { PeerMessage } from '../ports/network.js';
import type { Random } from '../ports/random.js';
import type { RefusedFor } from './refusals.js';

export interface GrpcNetworkOptions {
  /** 'host:port' or '[IPv6]:port'; port 0: any. */
  readonly listenAddress: string;
  readonly advertisedAddress: string;
  readonly serverId: string;
  readonly serviceGroup: string;
  /** As of the store: nodes with another one refuse each other. */
  readonly keyPrefix: string;
  readonly tls?: IGrpcTlsConfig | undefined;
  readonly authToken?: string | undefined;
  /** `maxPayloadBytes`: a message with such a payload must fit into a frame. */
  readonly payloadBytesMax: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A message that has not left or come by then is dropped, ms. */
  readonly messageTtlMs: number;
  /** How long a peer that no reading of the members has named yet is kept waiting, ms: some heartbeats. */
  readonly newcomerMs: number;
  readonly connectivityWatchMs: number;
  /** Undefined: nobody is suspected. */
  readonly monitor: { readonly debounceMs: number; readonly pingMs: number; readonly silentMsMax: number } | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Something that an operator should know; at most a few lines a minute. */
  readonly onNotice: (text: string) => void;
  /** A message could not be handled, and was dropped. */
  readonly onFault?: (error: unknown) => void;
}

export interface GrpcNetworkStats {
  /** Messages that a connection took; those to oneself are not counted here. */
  readonly sent: number;
  readonly received: number;
  /** Given up: for want of room, of a living target, or with a link that broke. */
  readonly dropped: number;
  /** Too old, before they left or when they came. */
  readonly expired: number;
  /** Frames or messages that are not of our kind. */
  readonly garbage: number;
  /** Connections and links that this node refused, and why. */
  readonly refused: number;
  readonly refusedFor: Partial<Record<RefusedFor, number>>;
  /** Links that others refused this node. */
  readonly rejected: number;
  readonly peers: number;
  /** Peers with a link. */
  readonly links: number;
  readonly channels: number;
  /** Open connections of others to this node. */
  readonly connections: number;
  /** Why there is no link to a peer, if that is known. */
  readonly problem: string | undefined;
}

/** A message in the outbox. */
export interface Waiting {
  readonly message: PeerMessage;
  readonly bytes: number;
  /** By the monotonic clock. */
  readonly untilMs: number;
}

const MIB = 1024 * 1024;
const TOTAL_BYTES_MAX = 64 * MIB;

/** Room for the largest payload with all that is around it: ids, call chain, an error. */
export function outboxLimits(payloadBytesMax: number): OutboxLimits {
  const targetBytesMax = Math.max(4 * MIB, 2 * payloadBytesMax);
  return {
    frameItemsMax: 512,
    frameBytesMax: 512 * 1024,
    targetItemsMax: 10_000,
    targetBytesMax,
    totalBytesMax: Math.max(TOTAL_BYTES_MAX, 4 * targetBytesMax),
  };
}

const BACKOFF_MS_MIN = 100;
const RESOLVE_AGAIN_MS = 1000;
const FLOW_WINDOW_BYTES = MIB;

export const channelOptions = (
  { keepaliveTimeMs, keepaliveTimeoutMs }: GrpcNetworkOptions,
  frameBytesMax: number,
  backoffMsMax: number,
): ChannelOptions => ({
  'grpc.keepalive_time_ms': keepaliveTimeMs,
  'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
  'grpc.initial_reconnect_backoff_ms': BACKOFF_MS_MIN,
  'grpc.max_reconnect_backoff_ms': backoffMsMax,
  'grpc.dns_min_time_between_resolutions_ms': RESOLVE_AGAIN_MS,
  // A channel shares nothing with others, so that it is gone with its peer.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': frameBytesMax,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
  // Peers are near; a proxy of the environment is for the world.
  'grpc.enable_http_proxy': 0,
  'grpc-node.flow_control_window': FLOW_WINDOW_BYTES,
});
