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

export const shapesOf = (text: string): Shapes => new Map(Object.entries(JSON.parse(text) as Record<string, MessageShape>));

export const isSameShape = (a: MessageShape, b: MessageShape): boolean => canonical(a) === canonical(b);
