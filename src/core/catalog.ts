/** The schemas that services publish for the messages they handle: JSON text in the store, by entity type. */
import { digestOf } from './ids.js';
import { canonical, type JsonSchema } from './json-schema.js';
import type { PublishedSchemas } from './log/control-operations.js';

/** The published shape of one message. */
export interface MessageShape {
  readonly payload?: JsonSchema | undefined;
  readonly reply?: JsonSchema | undefined;
  /** Property of the payload that holds the entity's id. */
  readonly idProperty?: string | undefined;
}

export type Shapes = ReadonlyMap<string, MessageShape>;

/** Returns the shapes as text with a version digest. Equal shapes give the same text in any order. */
export function publish(type: string, shapes: Shapes): PublishedSchemas & { readonly version: string } {
  const text = canonical(Object.fromEntries(shapes));
  return { type, text, version: digestOf(type, text) };
}

/**
 * Parses published shapes. Text that this version cannot read gives no shapes and so allows every payload: the node that handles
 * the message checks it again. Never throws, because every node parses this text while it reads the membership.
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
