import type { Command, Query } from '@nestjs/cqrs';

/** Key of the brand; no object has it at run time. */
export declare const reply: unique symbol;

/**
 * Brand that says what a message's handler answers. TypeScript forgets an `implements` clause, so for `enqueueAndWait` to infer
 * the answer the class itself must have the brand: extend `Command<Balance>` or `Query<Balance>` of @nestjs/cqrs, or write
 * `declare readonly [reply]?: Balance` into the class. With `implements Reply<Balance>` alone, name the type where you wait:
 * `const { balance } = await bus.enqueueAndWait<Balance>(message)`.
 */
export interface Reply<R> {
  readonly [reply]?: R;
  // A type with optional members only is one that no class may implement without having one of them; every object has this.
  toString(): string;
}

/** A message whose handler answers with an `R`. */
export type MessageWithReply<R> = Command<R> | Query<R> | Reply<R>;

/** What the handler of a message of type `M` answers; unknown if the type does not say it. */
export type ReplyOf<M> = M extends Command<infer R> ? R : M extends Query<infer R> ? R : M extends Reply<infer R> ? R : unknown;
