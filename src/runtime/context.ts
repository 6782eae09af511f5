import { AsyncLocalStorage } from 'node:async_hooks';
import { AtomicQueuesError } from '../core/errors.js';
import { idOfKey, typeOfKey, unescapeId, utf8Bytes } from '../core/ids.js';
import { MESSAGE_OVERHEAD, type MessageRecord, type Send } from '../core/log/operations.js';
import { brandForCopies, sharedByCopies } from '../core/shared.js';
import type { Trace } from '../ports/trace.js';
import { HandlerSignal } from './handler-signal.js';

/** What a context needs from its node. */
export interface ContextHost {
  /** Returns the transactional send number `index` of `parent`, checked like any other message. */
  routeSend(parent: MessageRecord, index: number, message: object, headers: Headers | undefined): Send;
  /** Limit in UTF-8 bytes for all sends of one handler together: payloads, headers, ids, and a fixed overhead for each. */
  readonly sendsBytesMax: number;
  readonly trace: Trace;
}

type Headers = Readonly<Record<string, string>>;

const storage = sharedByCopies('entity-context', () => new AsyncLocalStorage<EntityContext>());

/** The attempt that a handler runs in. `EntityContext.current()` returns it, also in functions that the handler calls. */
export class EntityContext {
  private handlerSignal: HandlerSignal | undefined;
  private abortedWith: unknown;
  private isAborted = false;
  private sends: Send[] | undefined;
  private sendsBytes = 0;
  private open = true;

  /** @internal */
  constructor(
    private readonly entity: string,
    private readonly message: MessageRecord,
    private readonly host: ContextHost,
    /**
     * Grows with every change of owner, cluster-wide. Claim your row with it before you read the row, in one statement
     * (`UPDATE ... SET fence = ? WHERE fence <= ? RETURNING ...`, see docs/guide.md): a handler that was paused past its lease
     * can then no longer overwrite its successor.
     */
    readonly fence: number,
    /** When the handler's signal aborts, Unix ms by this machine's clock; undefined without `handlerTimeout`. */
    readonly deadline: number | undefined,
  ) {}

  /** Returns the context of the running handler. Throws CONFIG_INVALID outside of one. */
  static current(): EntityContext {
    const context = storage.getStore();
    if (context === undefined)
      throw new AtomicQueuesError('CONFIG_INVALID', 'EntityContext.current() was called outside of an entity handler');
    return context;
  }

  /** Returns undefined once the handler has ended: no caller waits for code that it left running. */
  static currentOrNone(): EntityContext | undefined {
    const context = storage.getStore();
    return context?.open === true ? context : undefined;
  }

  /** @internal Calls `run` as work that the current handler, if any, does not wait for: calls made there have no chain. */
  static unchained<R>(run: () => R): R {
    const context = storage.getStore();
    if (context === undefined) return run();
    return storage.run(Object.create(context, { chainOfCalls: { value: () => [] } }) as EntityContext, run);
  }

  /**
   * @internal Returns the headers of the message whose handler runs or has started the current code; undefined if it has none.
   * Messages that it sends get them too, so that a trace does not end there.
   */
  static headersToPassOn(): Headers | undefined {
    const context = storage.getStore();
    return context === undefined || context.message.headers === '' ? undefined : context.headers;
  }

  /** @internal Calls `run(argument)` with this context as the current one. */
  run<A, R>(run: (argument: A) => R, argument: A): R {
    return storage.run(this, run, argument);
  }

  get entityType(): string {
    return typeOfKey(this.entity);
  }

  get entityId(): string {
    return idOfKey(this.entity);
  }

  get messageId(): string {
    return unescapeId(this.message.id);
  }

  /** Position in the entity's log: grows with every message of the entity. */
  get sequence(): number {
    return this.message.seq;
  }

  /** From 1; an interruption counts as an attempt. */
  get attempt(): number {
    return this.message.attempt;
  }

  get headers(): Headers {
    return this.message.headers === '' ? {} : (JSON.parse(this.message.headers) as Headers);
  }

  /** Keys of the entities whose handlers wait for this message, outermost first. */
  get chain(): readonly string[] {
    return this.message.chain === '' ? [] : (JSON.parse(this.message.chain) as string[]);
  }

  /** @internal The chain for the calls that this handler waits for. */
  chainOfCalls(): readonly string[] {
    return [...this.chain, this.entity];
  }

  /**
   * Aborts at `handlerTimeout`, at the loss of the lease, and near the end of the shutdown grace. Its listeners run in the async
   * context in which they were added. An error that one of them throws or rejects with is logged, and the others still run.
   */
  get signal(): AbortSignal {
    if (this.handlerSignal === undefined) {
      this.handlerSignal = new HandlerSignal((error) => this.listenerFailed(error));
      if (this.isAborted) this.handlerSignal.abort(this.abortedWith);
    }
    return this.handlerSignal.signal;
  }

  private listenerFailed(error: unknown): void {
    const { entity, message } = this;
    this.host.trace.emit('abort-listener-failed', { entity, id: message.id, name: message.name, error });
  }

  /**
   * Transactional send: logged together with this handler's completion, or not at all. It does not wait, and the message is
   * checked now. Throws UNKNOWN_ENTITY_TYPE, UNKNOWN_MESSAGE, INVALID_ENTITY_ID, SCHEMA_VIOLATION, PAYLOAD_TOO_LARGE (also if all
   * sends of the handler together are too large to be logged in one step; that message is not sent then), and CONFIG_INVALID once
   * the handler has ended. At a limit the handler's message fails with QUEUE_DEPTH_EXCEEDED or WORKER_LIMIT_EXCEEDED, and nothing
   * is sent. Without `headers` the message gets those of this handler's message; `{}` means none.
   */
  enqueue(message: object, options: { headers?: Headers } = {}): void {
    if (!this.open)
      throw new AtomicQueuesError(
        'CONFIG_INVALID',
        'EntityContext.enqueue was called after the handler had ended; await what it starts',
      );
    this.sends ??= [];
    const headers = options.headers ?? (this.message.headers === '' ? undefined : this.headers);
    const send = this.host.routeSend(this.message, this.sends.length, message, headers);
    const bytes = this.sendsBytes + bytesOf(send);
    if (bytes > this.host.sendsBytesMax) throw tooLarge(bytes, this.host.sendsBytesMax);
    this.sendsBytes = bytes;
    this.sends.push(send);
  }

  /** @internal Ends the time in which the handler can send, and returns its sends, for `finish`. */
  close(): readonly Send[] {
    this.open = false;
    return this.sends ?? NO_SENDS;
  }

  /** @internal */
  abort(reason: AtomicQueuesError): void {
    if (this.isAborted) return;
    this.isAborted = true;
    this.abortedWith = reason;
    this.handlerSignal?.abort(reason);
  }
}

const NO_SENDS: readonly Send[] = [];

const bytesOf = ({ entity, message }: Send): number =>
  MESSAGE_OVERHEAD + utf8Bytes(entity) + utf8Bytes(message.id) + utf8Bytes(message.payload) + utf8Bytes(message.headers);

const tooLarge = (bytes: number, limit: number): AtomicQueuesError =>
  new AtomicQueuesError(
    'PAYLOAD_TOO_LARGE',
    `all that this handler sends would have ${bytes} bytes, and its end logs it in one step, which may have ${limit}; the message was not sent. Send references, send with QueueBus, or raise storeCallTimeoutMs`,
    { details: { bytes, limit } },
  );

brandForCopies(EntityContext, 'context');
