import { AsyncResource } from 'node:async_hooks';
import { AsyncContext } from '@nestjs/cqrs';
import type { ResolvedConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import { decodeJson, encodeResult, revive } from '../core/payload.js';
import { isClientError, linesOfThrown } from '../core/recorded-error.js';
import { TerminalError } from '../core/terminal-error.js';
import { type Delivery, type FailureRuling, FinalFailure, type HandlerPort, NotCalled } from '../ports/handler.js';
import type { HandledMessage, MessageRegistry } from './registry.js';
import { checkedInTime, checkSchema, isVerdict } from './standard-schema.js';

/** Name of a handler's run in tools that track async resources. */
const RESOURCE = 'AtomicQueuesHandler';

interface Runner {
  readonly message: HandledMessage;
  /** Encodes the handler's result as JSON text. Throws or rejects if the result is not valid. */
  readonly finish: (result: unknown) => string | Promise<string>;
}

/**
 * Runs handlers through the buses of @nestjs/cqrs, so that request scope, publishers and bus interceptors keep working. Each run
 * is a separate async resource. Otherwise, on Node 20, a context that one handler enters (`enterWith`) would leak into the next.
 */
export class BusHandlers implements HandlerPort {
  readonly #runners = new Map<string, Map<string, Runner>>();
  readonly #entitySettings: ResolvedConfig['entitySettings'];
  readonly #checkMsMax: number;
  readonly #onFault: (text: string) => void;

  /** `onFault` receives the fault of an application's `isTerminal` that throws or returns no boolean. */
  constructor(registry: MessageRegistry, config: ResolvedConfig, onFault: (text: string) => void) {
    const resultBytesMax = config.limits.payloadBytesMax;
    this.#entitySettings = (type) => config.entitySettings(type);
    this.#checkMsMax = config.enqueueTimeoutMs;
    this.#onFault = onFault;
    for (const type of registry.types()) {
      const runners = registry.messagesOf(type).map((message) => ({ message, finish: finisherOf(message, resultBytesMax) }));
      this.#runners.set(type, new Map(runners.map((runner) => [runner.message.name, runner])));
    }
  }

  /** Checks the payload as logged. The sender's check saw the same text: no transformation happens in between. */
  check(delivery: Delivery): undefined | Promise<void> {
    const message = this.#runnerOf(delivery)?.message;
    if (message?.schema === undefined) return undefined;
    const definite = !delivery.mayHaveRun;
    try {
      const checking = checkSchema(message.schema, decodeJson(delivery.payload), message.payloadLabel, definite);
      if (checking === undefined) return undefined;
      return checkedInTime(checking, message.payloadLabel, this.#checkMsMax, definite).catch(notCalled);
    } catch (error) {
      return notCalled(error);
    }
  }

  #runnerOf({ type, name }: Delivery): Runner | undefined {
    return this.#runners.get(type)?.get(name);
  }

  run(delivery: Delivery): Promise<string> {
    const runner = this.#runnerOf(delivery);
    // The runtime begins only declared messages. If another one arrives here, it must not count as handled.
    if (runner === undefined) throw new FinalFailure(unknownMessage(delivery));
    const message = objectOf(runner.message, delivery);
    const { carried } = delivery;
    // Attach the context for handlers without request scope too: they may merge it into the events they publish.
    if (carried instanceof AsyncContext) carried.attachTo(message);
    const result = new AsyncResource(RESOURCE).runInAsyncScope(runner.message.execute, undefined, message, carried);
    return Promise.resolve(result).then(runner.finish);
  }

  ruleOn(type: string, name: string, thrown: unknown): FailureRuling {
    const isTerminal = this.#isTerminal(type, name, thrown);
    const isQuery = this.#runners.get(type)?.get(name)?.message.kind === 'query';
    return { isFinal: isTerminal, leavesDeadLetter: !isTerminal && !isQuery };
  }

  #isTerminal(type: string, name: string, thrown: unknown): boolean {
    if (TerminalError.is(thrown)) return true;
    // Failures that the library itself raises are not decisions of the application.
    if (thrown instanceof FinalFailure || thrown instanceof NotCalled) return false;
    const { isTerminal = isClientError } = this.#entitySettings(type);
    try {
      const answer: unknown = isTerminal(thrown);
      if (typeof answer === 'boolean') return answer;
      if (answer instanceof Promise) answer.catch(() => undefined);
      this.#onFault(`entities.${type}.isTerminal returned no boolean for an error of ${name}; the error counts as not terminal`);
    } catch (error) {
      const why = linesOfThrown(error);
      this.#onFault(`entities.${type}.isTerminal threw for an error of ${name}; the error counts as not terminal: ${why}`);
    }
    return false;
  }
}

/** Wraps a failed payload check. A verdict of the schema is final. After a throw or timeout, the next attempt checks again. */
function notCalled(error: unknown): never {
  throw error instanceof AtomicQueuesError ? new NotCalled(error, isVerdict(error)) : error;
}

const unknownMessage = ({ type, name }: Delivery): AtomicQueuesError =>
  new AtomicQueuesError('UNKNOWN_MESSAGE', `no handler for message "${name}" of entity type "${type}"`, { definite: false });

/** Builds the object of the message's class for the handler. Adds the entity id if a sender by name left it out. */
function objectOf({ messageClass, idProperty }: HandledMessage, { payload, entityId }: Delivery): object {
  let message: object;
  try {
    message = revive(messageClass.prototype as object, payload);
  } catch (error) {
    throw error instanceof Error ? new FinalFailure(error) : error;
  }
  if (!(idProperty in message)) Object.defineProperty(message, idProperty, { value: entityId, ...PLAIN });
  return message;
}

const PLAIN = { enumerable: true, writable: true, configurable: true } as const;

function finisherOf({ type, name, replySchema }: HandledMessage, bytesMax: number): Runner['finish'] {
  const what = `the reply of ${type}.${name}`;
  const encode = (result: unknown): string => {
    try {
      return encodeResult(result, what, bytesMax);
    } catch (error) {
      throw final(error);
    }
  };
  if (replySchema === undefined) return encode;
  return (result) => {
    const text = encode(result);
    try {
      const checking = checkSchema(replySchema, decodeJson(text), what, false);
      return checking === undefined ? text : checking.then(() => text, rethrowFinal);
    } catch (error) {
      throw final(error);
    }
  };
}

const final = (error: unknown): unknown => (error instanceof AtomicQueuesError ? new FinalFailure(error) : error);

const rethrowFinal = (error: unknown): never => {
  throw final(error);
};
