import type { MessageShape } from '../core/catalog.js';
import type { JsonSchema } from '../core/json-schema.js';

/** Message names by entity type, and the published shapes of the messages. */
export interface Catalog {
  types(): readonly string[];
  namesOf(type: string): readonly string[];
  shapeOf(type: string, name: string): MessageShape | undefined;
}

/** Lists the entity types and messages of this application, and of every live service as last read from the store. */
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

  /** Returns the sorted names of the messages; empty for an unknown type. */
  messagesFor(type: string): string[] {
    return [...this.#catalog().namesOf(type)].sort();
  }

  accepts(type: string, message: string): boolean {
    return this.#catalog().namesOf(type).includes(message);
  }

  /** Returns the JSON Schema of the payload; undefined if no service publishes one, or JSON Schema cannot express it. */
  schemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#catalog().shapeOf(type, message)?.payload;
  }

  /** Returns the JSON Schema of the reply; undefined if no service publishes one, or JSON Schema cannot express it. */
  replySchemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#catalog().shapeOf(type, message)?.reply;
  }

  /** Returns one line per entity type. */
  toString(): string {
    return this.entityTypes()
      .map((type) => `${type}: ${this.messagesFor(type).join(', ')}`)
      .join('\n');
  }
}
