import type { RetryPolicy } from '../retry.js';

/** Connection to the single Redis: either `url`, or `host` and `port`. */
export interface IRedisConfig {
  readonly host?: string;
  readonly port?: number;
  /** User name of the Redis ACL. */
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** true, or options for `tls.connect`. */
  readonly tls?: boolean | object;
  readonly url?: string;
  /** Options for ioredis. An option that the library depends on is refused by name. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Refused until Redis Sentinel is supported. */
  readonly sentinels?: unknown;
  /** Refused until Redis Cluster is supported. */
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
   * Returns whether an error of a handler is a refusal that the caller has to handle. The message then ends `failed`, is not
   * retried and leaves no dead letter. Default: an HttpException or an error of http-errors below 500. A TerminalError always is
   * a refusal.
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

/** All deadlines are in ms. */
export interface IDeadlinesConfig {
  readonly forwardMs?: number;
  readonly pingMs?: number;
  readonly andWaitMs?: number;
  readonly syncMs?: number;
  readonly connectivityWatchMs?: number;
}

/** Settings of gRPC, and of the timing, health and breaker of the cluster. The latter apply without gRPC too. */
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

/** The argument of `AtomicQueuesModule.forRoot`. Every field is optional; docs/config.md describes each one. */
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

/** The settings of one entity type, including the defaults and the root's retry policy. */
export interface EntitySettings {
  readonly defaultEntityId: string | undefined;
  readonly onInterrupt: 'dead-letter' | 'retry';
  readonly workerIdleTimeoutMs: number;
  /** 0 = unbounded */
  readonly workerMaxQueueDepth: number;
  readonly replyTimeoutMs: number;
  /** 0 = none */
  readonly handlerTimeoutMs: number;
  /** Undefined: the default applies. */
  readonly isTerminal: ((error: unknown) => boolean) | undefined;
  readonly retry: RetryPolicy;
}

export type ResolvedRedis = Pick<IRedisConfig, 'username' | 'password' | 'tls' | 'options'> &
  (
    | { readonly url: string; readonly db?: number }
    | { readonly url?: undefined; readonly host: string; readonly port: number; readonly db: number }
  );

/** The resolved config with all defaults. All durations are in ms, in whatever unit the field was given. */
export interface ResolvedConfig {
  readonly store: 'memory' | 'redis';
  /** Set if and only if `store` is 'redis'. */
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
    /** Maximum bytes of payloads and headers of all messages that one handler sends. */
    readonly sendsBytesMax: number;
    readonly forwardHopsMax: number;
  };
  /** The entity types that `entities` names. */
  readonly configuredTypes: readonly string[];
  /** Returns the same frozen object on each call for a type. A type that `entities` does not name has the defaults. */
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
  /** Notices to log at start: settings that are legal but need attention. */
  readonly notices: readonly string[];
}

/** The environment that config resolution depends on. */
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
