import type { HandledMessage, MessageRegistry } from './registry.js';
import { type JsonSchema, jsonSchemaOf } from './standard-schema.js';

/** Names of messages by entity type. */
export interface Catalog {
  types(): readonly string[];
  namesOf(type: string): readonly string[];
}

/**
 * What can be sent: entity types and their messages, of this application and of every live service as it last read them; and
 * the schemas of its own.
 */
export class Introspection {
  readonly #registry: MessageRegistry;
  readonly #catalog: () => Catalog;
  readonly #schemas = new Map<HandledMessage, { payload: JsonSchema | undefined; reply: JsonSchema | undefined }>();

  /** @internal */
  constructor(registry: MessageRegistry, catalog: () => Catalog) {
    this.#registry = registry;
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

  /** JSON Schema of the payload; undefined if nobody here gave one, or it cannot be said as JSON Schema. */
  schemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#schemasOf(type, message)?.payload;
  }

  /** JSON Schema of the reply; undefined if nobody here gave one, or it cannot be said as JSON Schema. */
  replySchemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#schemasOf(type, message)?.reply;
  }

  /** One line for each entity type. */
  toString(): string {
    return this.entityTypes()
      .map((type) => `${type}: ${this.messagesFor(type).join(', ')}`)
      .join('\n');
  }

  #schemasOf(type: string, message: string) {
    const handled = this.#registry.find(type, message);
    if (handled === undefined) return undefined;
    let schemas = this.#schemas.get(handled);
    if (schemas === undefined) {
      schemas = { payload: jsonSchemaOf(handled.schema), reply: jsonSchemaOf(handled.replySchema) };
      this.#schemas.set(handled, schemas);
    }
    return schemas;
  }
}
