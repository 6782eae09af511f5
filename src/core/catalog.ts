/** What services publish of the messages they handle: JSON text in the store, by entity type. */
import { digestOf } from './ids.js';
import { canonical, type JsonSchema } from './json-schema.js';
import type { PublishedSchemas } from './log/control-operations.js';

/** What is published of one message. */
export interface MessageShape {
  readonly payload?: JsonSchema | undefined;
  readonly reply?: JsonSchema | undefined;
  /** Property of the payload that holds the entity's id. */
  readonly idProperty?: string | undefined;
}

export type Shapes = ReadonlyMap<string, MessageShape>;

/** The same shapes give the same text, whatever the order in which they are found. */
export function publish(type: string, shapes: Shapes): PublishedSchemas & { readonly version: string } {
  const text = canonical(Object.fromEntries(shapes));
  return { type, text, version: digestOf(type, text) };
}

/**
 * What another version wrote, and this one cannot read, allows everything: whoever handles the message checks it again. It must
 * not throw, since every node reads it on its way to learn who lives.
 */
export function shapesOf(text: string): Shapes {
  try {
    const entries = Object.entries((JSON.parse(text) ?? {}) as object);
    return new Map(entries.filter(([, shape]) => typeof shape === 'object' && shape !== null));
  } catch {
    return new Map();
  }
}

export const isSameShape = (a: MessageShape, b: MessageShape): boolean => canonical(a) === canonical(b);
