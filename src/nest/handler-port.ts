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

/** Names a handler's run to tools that watch async resources. */
const RESOURCE = 'AtomicQueuesHandler';

interface Runner {
  readonly message: HandledMessage;
  /** Turns what the handler returned into JSON text, or rejects. */
  readonly finish: (result: unknown) => string | Promise<string>;
}

/**
 * Runs handlers through the buses of @nestjs/cqrs, so that request scope, publishers and interceptors of the bus stay. Each run is
 * an async resource of its own: on Node 20 a context that one handler enters (`enterWith`) would else hold for the next, too.
 */
export class BusHandlers implements HandlerPort {
  readonly #runners = new Map<string, Map<string, Runner>>();
  readonly #entitySettings: ResolvedConfig['entitySettings'];
  readonly #checkMsMax: number;
  readonly #onFault: (text: string) => void;

  /** `onFault` gets what is wrong with an `isTerminal` of the application. */
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

  /** The payload is checked as it is logged, which is what the caller's check saw too: nothing is transformed between them. */
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
    // The runtime begins only what was declared; a message that comes here all the same must not count as handled.
    if (runner === undefined) throw new FinalFailure(unknownMessage(delivery));
    const message = objectOf(runner.message, delivery);
    const { carried } = delivery;
    // For handlers that are not request-scoped, too: they may merge it into what they publish.
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
    // What the library itself fails is no answer of the application.
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

/** A schema that said no would say so again; one that threw or did not answer is asked again by the next attempt. */
function notCalled(error: unknown): never {
  throw error instanceof AtomicQueuesError ? new NotCalled(error, isVerdict(error)) : error;
}

const unknownMessage = ({ type, name }: Delivery): AtomicQueuesError =>
  new AtomicQueuesError('UNKNOWN_MESSAGE', `no handler for message "${name}" of entity type "${type}"`, { definite: false });

/** An object of the message's class, as the handler expects it; the id is added where a sender by name left it out. */
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
