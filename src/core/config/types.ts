import type { RetryPolicy } from '../retry.js';

/** Connection to the one Redis; either `url` or `host` and `port`. */
export interface IRedisConfig {
  readonly host?: string;
  readonly port?: number;
  /** User of the ACL of Redis. */
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** true, or options for `tls.connect`. */
  readonly tls?: boolean | object;
  readonly url?: string;
  /** Passed to ioredis; what the library depends on is refused by name. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Refused until Redis Sentinel works. */
  readonly sentinels?: unknown;
  /** Refused until Redis Cluster works. */
  readonly cluster?: unknown;
}

export interface IRetryPolicy {
  readonly maxAttempts?: number;
  readonly backoff?: 'fixed' | 'exponential';
  /** ms */
  readonly backoffDelay?: number;
  /** ms */
  readonly maxDelay?: number;
}

export interface IEntityConfig {
  readonly defaultEntityId?: string;
  readonly onInterrupt?: 'dead-letter' | 'retry';
  /** ms */
  readonly workerIdleTimeout?: number;
  readonly workerMaxQueueDepth?: number;
  /** ms */
  readonly replyTimeout?: number;
  /** ms; 0 = none */
  readonly handlerTimeout?: number;
  /**
   * Whether an error of a handler is a refusal that its caller has to handle: the message ends `failed`, is not retried and leaves no
   * dead letter. Default: an HttpException or an error of http-errors below 500. A TerminalError always is one.
   */
  readonly isTerminal?: (error: unknown) => boolean;
  readonly retry?: IRetryPolicy;
}

export interface IWalConfig {
  readonly enabled?: boolean;
  /** ms */
  readonly cleanupInterval?: number;
  /** seconds */
  readonly entryTTL?: number;
  /** seconds */
  readonly resultTTL?: number;
  readonly durability?: 'ack' | 'fsync' | 'replicated';
}

export interface IDeadLettersConfig {
  /** 0 = unbounded */
  readonly max?: number;
  /** seconds; 0 = unbounded */
  readonly ttl?: number;
}

export interface IGrpcTlsConfig {
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
}

/** All in ms. */
export interface IDeadlinesConfig {
  readonly forwardMs?: number;
  readonly pingMs?: number;
  readonly andWaitMs?: number;
  readonly syncMs?: number;
  readonly connectivityWatchMs?: number;
}

/** gRPC itself, and the timing, health and breaker of the cluster, which hold without gRPC too. */
export interface IGrpcConfig {
  readonly enabled?: boolean;
  readonly listenAddress?: string;
  readonly advertisedAddress?: string;
  readonly serverId?: string;
  readonly serviceGroup?: string;
  readonly maxForwardHops?: number;
  readonly maxConcurrentPetitions?: number;
  readonly heartbeatMs?: number;
  readonly nodeTTLMs?: number;
  readonly reconcileIntervalMs?: number;
  readonly leaderTTLMs?: number;
  readonly leaderRenewalMs?: number;
  readonly leaderDebounceMs?: number;
  readonly peerMonitorEnabled?: boolean;
  readonly peerSuspectDebounceMs?: number;
  readonly redisHealthCheckMs?: number;
  readonly redisHealthFailureThreshold?: number;
  readonly circuitBreakerFailureThreshold?: number;
  readonly circuitBreakerCooldownMs?: number;
  readonly tls?: IGrpcTlsConfig;
  readonly authToken?: string;
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  readonly takeoverHoldMs?: number;
  readonly leaseMarginMs?: number;
  readonly loopStallLimitMs?: number;
  readonly deadlines?: IDeadlinesConfig;
}

/** What `AtomicQueuesModule.forRoot` takes; every field is optional, docs/config.md describes each. */
export interface AtomicQueuesConfig {
  readonly redis?: IRedisConfig;
  readonly store?: 'memory' | 'redis';
  readonly serverId?: string;
  readonly serviceGroup?: string;
  readonly entities?: Readonly<Record<string, IEntityConfig>>;
  readonly keyPrefix?: string;
  readonly maxTotalWorkers?: number;
  readonly maxTotalQueueDepth?: number;
  readonly retry?: IRetryPolicy;
  readonly wal?: IWalConfig;
  readonly deadLetters?: IDeadLettersConfig;
  readonly grpc?: IGrpcConfig;
  readonly verbose?: boolean;
  readonly maxPayloadBytes?: number;
  readonly maxConcurrentHandlers?: number;
  readonly directExecution?: 'route' | 'refuse' | 'allow';
  readonly rethrowHttpExceptions?: boolean;
  readonly onLeaseLost?: 'rejoin' | 'exit';
  /** ms */
  readonly shutdownGraceMs?: number;
  /** ms */
  readonly enqueueTimeoutMs?: number;
  /** ms */
  readonly storeCallTimeoutMs?: number;
  readonly partitions?: number;
}

type Key<T, Sections extends keyof T = never> = Exclude<keyof T, Sections> & string;

export type GrpcPath =
  | `grpc.${Key<IGrpcConfig, 'tls' | 'deadlines'>}`
  | `grpc.tls.${Key<IGrpcTlsConfig>}`
  | `grpc.deadlines.${Key<IDeadlinesConfig>}`;

export type BasePath =
  | Key<AtomicQueuesConfig, 'redis' | 'entities' | 'retry' | 'wal' | 'deadLetters' | 'grpc'>
  | `redis.${Key<IRedisConfig>}`
  | `entities.<type>.${Key<IEntityConfig, 'retry'>}`
  | `entities.<type>.retry.${Key<IRetryPolicy>}`
  | `retry.${Key<IRetryPolicy>}`
  | `wal.${Key<IWalConfig>}`
  | `deadLetters.${Key<IDeadLettersConfig>}`;

export type ConfigPath = BasePath | GrpcPath;

/** The settings of one entity type, defaults and the root's retry filled in. */
export interface EntitySettings {
  readonly defaultEntityId: string | undefined;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly workerIdleTimeoutMs: number;
  /** 0 = unbounded */
  readonly workerMaxQueueDepth: number;
  readonly replyTimeoutMs: number;
  /** 0 = none */
  readonly handlerTimeoutMs: number;
  /** Undefined: the default. */
  readonly isTerminal: ((error: unknown) => boolean) | undefined;
  readonly retry: RetryPolicy;
}

export type ResolvedRedis = Pick<IRedisConfig, 'username' | 'password' | 'tls' | 'options'> &
  (
    | { readonly url: string; readonly db?: number }
    | { readonly url?: undefined; readonly host: string; readonly port: number; readonly db: number }
  );

/** What the config means: everything filled in; durations in ms, whatever unit the field had. */
export interface ResolvedConfig {
  readonly store: 'memory' | 'redis';
  /** Given exactly if `store` is 'redis'. */
  readonly redis: ResolvedRedis | undefined;
  readonly serverId: string;
  readonly serviceGroup: string;
  readonly keyPrefix: string;
  readonly partitions: number;
  readonly verbose: boolean;
  readonly directExecution: 'route' | 'refuse' | 'allow';
  readonly rethrowHttpExceptions: boolean;
  readonly onLeaseLost: 'rejoin' | 'exit';
  readonly shutdownGraceMs: number;
  readonly enqueueTimeoutMs: number;
  readonly storeCallTimeoutMs: number;
  /** 0 = unbounded, except for `payloadBytesMax`, `sendsBytesMax` and `forwardHopsMax`. */
  readonly limits: {
    readonly workersMax: number;
    readonly queueDepthMax: number;
    readonly concurrentHandlersMax: number;
    readonly concurrentPetitionsMax: number;
    readonly payloadBytesMax: number;
    /** Payloads and headers of all that one handler sends. */
    readonly sendsBytesMax: number;
    readonly forwardHopsMax: number;
  };
  /** The types that `entities` names. */
  readonly configuredTypes: readonly string[];
  /** The same frozen object on each call; a type that `entities` does not name has the defaults. */
  entitySettings(type: string): EntitySettings;
  readonly retry: RetryPolicy;
  readonly wal: {
    readonly enabled: boolean;
    readonly cleanupIntervalMs: number;
    readonly entryTTLMs: number;
    readonly resultTTLMs: number;
    readonly durability: 'ack' | 'fsync' | 'replicated';
  };
  /** 0 = unbounded */
  readonly deadLetters: { readonly max: number; readonly ttlMs: number };
  readonly timing: {
    readonly heartbeatMs: number;
    readonly nodeTTLMs: number;
    readonly reconcileIntervalMs: number;
    readonly leaderTTLMs: number;
    readonly leaderRenewalMs: number;
    readonly leaderDebounceMs: number;
    readonly takeoverHoldMs: number;
    readonly leaseMarginMs: number;
    readonly loopStallLimitMs: number;
  };
  readonly health: {
    readonly peerMonitorEnabled: boolean;
    readonly peerSuspectDebounceMs: number;
    readonly storeCheckMs: number;
    readonly storeFailureThreshold: number;
  };
  readonly breaker: { readonly failureThreshold: number; readonly cooldownMs: number };
  readonly deadlines: {
    readonly forwardMs: number;
    readonly pingMs: number;
    readonly andWaitMs: number;
    readonly syncMs: number;
    readonly connectivityWatchMs: number;
  };
  readonly grpc: {
    readonly enabled: boolean;
    readonly listenAddress: string;
    readonly advertisedAddress: string;
    readonly tls: IGrpcTlsConfig | undefined;
    readonly authToken: string | undefined;
    readonly keepaliveTimeMs: number;
    readonly keepaliveTimeoutMs: number;
  };
  /** What is legal but worth a line at start. */
  readonly notices: readonly string[];
}

/** What config resolution needs to know of its surroundings. */
export interface ConfigEnvironment {
  readonly nodeEnv: string | undefined;
  readonly hostname: string;
  generateServerId(): string;
}

export interface ConfigFault {
  readonly path: string;
  readonly got: string;
  readonly allowed: string;
  readonly why: string;
}
