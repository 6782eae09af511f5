export type {
  AtomicQueuesConfig,
  IDeadLettersConfig,
  IDeadlinesConfig,
  IEntityConfig,
  IGrpcConfig,
  IGrpcTlsConfig,
  IRedisConfig,
  IRetryPolicy,
  IWalConfig,
} from './core/config/types.js';
export type { DeadLetter } from './core/dead-letter.js';
export { AtomicQueuesError, type ErrorCode } from './core/errors.js';
export type { JsonSchema } from './core/json-schema.js';
export type { RecordedError } from './core/recorded-error.js';
export { TerminalError, type TerminalErrorOptions } from './core/terminal-error.js';
export type {
  BulkMessage,
  EnqueueAndWaitOptions,
  EnqueueOptions,
  EnqueueOutcome,
  EntityId,
  NamedMessage,
  Receipt,
  UntypedDispatchMap,
} from './nest/bus-types.js';
export { type DeadLetterEvent, type DeadLetterListener, DeadLetters } from './nest/dead-letters.js';
export { EntityType, type EntityTypeOptions, QueueEntity, QueueEntityId, ReplySchema, Schema } from './nest/decorators.js';
export type { EntityScope, EntityTypeScope } from './nest/entity-scope.js';
export type { Introspection } from './nest/introspection.js';
export { type AtomicQueuesAsyncOptions, type AtomicQueuesConfigFactory, AtomicQueuesModule } from './nest/module.js';
export { QueueBus } from './nest/queue-bus.js';
export type { MessageWithReply, Reply, ReplyOf, reply } from './nest/reply.js';
export type { StandardSchema } from './nest/standard-schema.js';
export { EntityContext } from './runtime/context.js';
export type {
  DeadLetterFilter,
  DeadLetterListOptions,
  DeadLetterPage,
  ReplayOptions,
  ReplayOutcome,
  ReplayRunOptions,
  RunOptions,
  RunResult,
} from './runtime/dead-letters.js';
export type { BlockedEntity, LogDepth, NodeStatus as QueueHealth, PeerStatus as PeerHealth } from './runtime/status.js';
