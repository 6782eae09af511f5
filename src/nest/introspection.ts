import type { HandledMessage, MessageRegistry } from './registry.js';
import { type JsonSchema, jsonSchemaOf } from './standard-schema.js';

/** What can be sent: entity types, their messages, and the schemas of those. */
export class Introspection {
  readonly #registry: MessageRegistry;
  readonly #schemas = new Map<HandledMessage, { payload: JsonSchema | undefined; reply: JsonSchema | undefined }>();

  /** @internal */
  constructor(registry: MessageRegistry) {
    this.#registry = registry;
  }

  entityTypes(): string[] {
    return [...this.#registry.types()].sort();
  }

  hasEntity(type: string): boolean {
    return this.#registry.types().includes(type);
  }

  /** Names of the messages; none for a type that is not known. */
  messagesFor(type: string): string[] {
    return this.#registry
      .messagesOf(type)
      .map(({ name }) => name)
      .sort();
  }

  accepts(type: string, message: string): boolean {
    return this.#registry.find(type, message) !== undefined;
  }

  /** JSON Schema of the payload; undefined if nobody gave one, or it cannot be said as JSON Schema. */
  schemaFor(type: string, message: string): JsonSchema | undefined {
    return this.#schemasOf(type, message)?.payload;
  }

  /** JSON Schema of the reply; undefined if nobody gave one, or it cannot be said as JSON Schema. */
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
