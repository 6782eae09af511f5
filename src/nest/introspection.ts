import type { MessageShape } from '../core/catalog.js';
import type { JsonSchema } from '../core/json-schema.js';

/** Messages by entity type, and what is published of them. */
export interface Catalog {
  types(): readonly string[];
  namesOf(type: string): readonly string[];
  shapeOf(type: string, name: string): MessageShape | undefined;
}

/** What can be sent: entity types and their messages, of this application and of every live service as it last read them. */
export class Introspection {
  readonly #catalog: () => Catalog;

  /** @internal */
  constructor(catalog: () => Catalog) {
    this.#catalog = catalog;
  }

  entityTypes(): string[] {
    return [...this.#catalog().types()].sort();
  }

  hasEntity(type: string): boolean {
    return this.#catalog().types().includes(type);
  }

  /** Names of the messages; none for a type that is not known. */
  messagesFor(type: string): string[] {
    return [...this.#catalog().namesOf(type)].sort();
  }

  accepts(type: string, message: string): boolean {
    return this.#catalog().namesOf(type).includes(message);
  }

  /** JSON Schema of the payload; undefined if nobody gave one, or it cannot be said as JSON Schema. */
  schemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#catalog().shapeOf(type, message)?.payload;
  }

  /** JSON Schema of the reply; undefined if nobody gave one, or it cannot be said as JSON Schema. */
  replySchemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#catalog().shapeOf(type, message)?.reply;
  }

  /** One line for each entity type. */
  toString(): string {
    return this.entityTypes()
      .map((type) => `${type}: ${this.messagesFor(type).join(', ')}`)
      .join('\n');
  }
}
