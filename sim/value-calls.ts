/**
 * Clients that send drawn values, encoded as the adapter of NestJS encodes them, and handlers that return or throw such values.
 */
import type { AtomicQueuesError } from '../src/core/errors.js';
import { entityIdOf, messageIdOf } from '../src/core/ids.js';
import { decodeJson, encodeJson, encodeResult } from '../src/core/payload.js';
import { type Delivery, FinalFailure } from '../src/ports/handler.js';
import { EntityContext } from '../src/runtime/context.js';
import type { OutgoingMessage } from '../src/runtime/enqueue.js';
import type { Cluster } from './cluster.js';

export interface ValueMessage {
  readonly type?: string;
  /** The entity id as the caller gives it. */
  readonly entityId?: unknown;
  readonly name?: string;
  readonly value?: unknown;
  readonly id?: unknown;
  readonly headers?: string;
  readonly carried?: object;
  /** The earlier call whose payload this one repeats. Left out: the call has its own payload. */
  readonly call?: string;
}

export interface ValueHandler {
  /** Returns the result, or throws. */
  readonly run?: (value: unknown, delivery: Delivery) => unknown;
  readonly check?: (delivery: Delivery) => void;
}

/** What one start of a handler received. */
export interface Seen {
  readonly value: unknown;
  readonly delivery: Delivery;
  readonly messageId: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One call and its outcome. */
export class Asked {
  isOpen = true;
  /** The result that the caller got. */
  value: unknown;
  error: AtomicQueuesError | undefined;
  /** What handlers received, one entry for each start. */
  readonly seen: Seen[] = [];

  constructor(readonly call: string) {}
}

const BYTES_MAX = 1_048_576;
/** The name of a caller's payload in errors. */
export const PAYLOAD = 'the payload';

export class ValueCalls {
  readonly all: Asked[] = [];

  constructor(
    private readonly sim: Cluster,
    private readonly bytesMax = BYTES_MAX,
  ) {}

  /** Calls and waits. A refusal of the call itself counts as an outcome like any other. */
  ask(node: string, message: ValueMessage, { run = (value) => value, check = () => undefined }: ValueHandler = {}): Asked {
    const asked = new Asked(`v${this.all.length}`);
    this.all.push(asked);
    const { sim, bytesMax } = this;
    sim.acts.set(asked.call, {
      check,
      run: (delivery) => {
        const { value } = decodeJson(delivery.payload) as { readonly value: unknown };
        const { messageId, headers } = EntityContext.current();
        // The runtime changes this object later.
        asked.seen.push({ value, delivery: { ...delivery }, messageId, headers });
        const result = run(value, delivery);
        try {
          return encodeResult(result, `the result of ${asked.call}`, bytesMax);
        } catch (error) {
          throw error instanceof Error ? new FinalFailure(error) : error;
        }
      },
    });
    const failed = (error: unknown): void => void Object.assign(asked, { isOpen: false, error });
    try {
      const waiting = sim.node(node).node?.enqueueAndWait(this.outgoing(asked, message), { timeoutMs: 3000 });
      waiting?.then((text) => Object.assign(asked, { isOpen: false, value: decodeJson(text) }), failed);
    } catch (error) {
      failed(error);
    }
    return asked;
  }

  private outgoing(asked: Asked, message: ValueMessage): OutgoingMessage {
    const { type = 'plain', name = 'deposit', entityId = asked.call, value, id, headers, carried } = message;
    return {
      ...{ type, name, entityId: entityIdOf(entityId, name), headers, carried },
      payload: encodeJson({ c: message.call ?? asked.call, value }, PAYLOAD, this.bytesMax),
      id: id === undefined ? undefined : messageIdOf(id),
    };
  }

  /** Lets time pass until all calls have settled. */
  settle(withinMs = 5000): boolean {
    return this.sim.until(() => this.all.every(({ isOpen }) => !isOpen), withinMs, 10);
  }
}

/** Reports the first few of `all` for which `faultOf` returns a fault. */
export function mustAll<T>(must: (what: string, holds: boolean) => void, all: readonly T[], faultOf: (one: T) => string): void {
  const faults = all.map(faultOf).filter((fault) => fault !== '');
  for (const fault of faults.slice(0, SHOWN_MAX)) must(fault, false);
  must(`${faults.length} of ${all.length} values were not treated as they must be`, faults.length === 0);
}

const SHOWN_MAX = 5;
