import type { ChannelOptions } from '@grpc/grpc-js';
import type { IGrpcTlsConfig } from '../core/config/types.js';
import type { OutboxLimits } from '../core/outbox.js';
import type { Clock } from '../ports/clock.js';
import type { PeerMessage } from '../ports/network.js';
import type { Random } from '../ports/random.js';
import type { RefusedFor } from './refusals.js';

export interface GrpcNetworkOptions {
  /** 'host:port' or '[IPv6]:port'; port 0: any free port. */
  readonly listenAddress: string;
  readonly advertisedAddress: string;
  readonly serverId: string;
  readonly serviceGroup: string;
  /** The same as for the store. Nodes with different prefixes refuse each other. */
  readonly keyPrefix: string;
  readonly tls?: IGrpcTlsConfig | undefined;
  readonly authToken?: string | undefined;
  /** `maxPayloadBytes`. A message with a payload of this size must fit into a frame. */
  readonly payloadBytesMax: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A message that was not sent or received within this time is dropped, ms. */
  readonly messageTtlMs: number;
  /** How long a peer that is in no membership snapshot yet may wait for a decision, ms: some heartbeats. */
  readonly newcomerMs: number;
  readonly connectivityWatchMs: number;
  /** Undefined: no peer is ever suspected. */
  readonly monitor: { readonly debounceMs: number; readonly pingMs: number; readonly silentMsMax: number } | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Reports something that an operator should know; at most a few lines a minute. */
  readonly onNotice: (text: string) => void;
  /** Called when a message could not be handled; the message is dropped. */
  readonly onFault?: (error: unknown) => void;
}

export interface GrpcNetworkStats {
  /** Messages that a connection took; without messages to this node itself. */
  readonly sent: number;
  readonly received: number;
  /** Messages dropped for lack of room, because the target is gone, or because the link broke. */
  readonly dropped: number;
  /** Messages dropped since they had expired, before they were sent or when they arrived. */
  readonly expired: number;
  /** Frames or messages that are malformed or unknown. */
  readonly garbage: number;
  /** Connections and links that this node refused; `refusedFor` counts them by reason. */
  readonly refused: number;
  readonly refusedFor: Partial<Record<RefusedFor, number>>;
  /** Links of this node that other nodes refused. */
  readonly rejected: number;
  readonly peers: number;
  /** Number of peers with a link. */
  readonly links: number;
  readonly channels: number;
  /** Open connections from other nodes to this node. */
  readonly connections: number;
  /** Why there is no link to a peer, if known. */
  readonly problem: string | undefined;
}

/** A message that waits in the outbox. */
export interface Waiting {
  readonly message: PeerMessage;
  readonly bytes: number;
  /** Monotonic time in ms after which the message is dropped. */
  readonly untilMs: number;
}

const MIB = 1024 * 1024;
const TOTAL_BYTES_MAX = 64 * MIB;

/** Returns limits with room for the largest payload and all that surrounds it: ids, call chain, an error. */
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
  // Channels share no subchannels, so that a connection is closed together with its peer.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_send_message_length': -1,
  'grpc.max_receive_message_length': frameBytesMax,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  'grpc.service_config_disable_resolution': 1,
  // Peers are reached directly; a proxy set in the environment is for external hosts.
  'grpc.enable_http_proxy': 0,
  'grpc-node.flow_control_window': FLOW_WINDOW_BYTES,
});
