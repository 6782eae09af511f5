import type { Command, Query } from '@nestjs/cqrs';

/** Key of the brand. No object has this property at run time. */
export declare const reply: unique symbol;

/**
 * Brand that carries the result type of a message's handler. TypeScript does not infer from an `implements` clause. For
 * `enqueueAndWait` to infer the result, the class must have the brand: extend `Command<Balance>` or `Query<Balance>` of
 * @nestjs/cqrs, or write `declare readonly [reply]?: Balance` into the class. With `implements Reply<Balance>` alone, name the
 * type in the call: `const { balance } = await bus.enqueueAndWait<Balance>(message)`.
 */
export interface Reply<R> {
  readonly [reply]?: R;
  // A class cannot implement a type with only optional members unless it has one of them. Every object has `toString`.
  toString(): string;
}

/** A message whose handler returns an `R`. */
export type MessageWithReply<R> = Command<R> | Query<R> | Reply<R>;

/** The result type of the handler of a message of type `M`; unknown if `M` has no brand. */
export type ReplyOf<M> = M extends Command<infer R> ? R : M extends Query<infer R> ? R : M extends Reply<infer R> ? R : unknown;
