/** A gRPC stream with the same interface on either side: the node that opened it, and the node that accepted it. */
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';

export interface StreamHandlers {
  data(bytes: Buffer): void;
  /** Called once when the stream has ended, for any reason; no handler is called after it. */
  closed(why: string): void;
}

export interface Stream {
  /** Receivers of the stream's events; may be replaced. */
  handlers: StreamHandlers;
  /** The address of the other end, for logs. */
  readonly remote: string;
  write(bytes: Buffer, landed: (error: Error | null | undefined) => void): void;
  /** Ends the sending side; bytes that were written are still sent. */
  end(): void;
  /** Ends the stream at once, without waiting for the other end. */
  destroy(): void;
}

const NOBODY: StreamHandlers = { data: () => undefined, closed: () => undefined };

abstract class Half implements Stream {
  handlers = NOBODY;
  #isClosed = false;

  constructor(private readonly call: ClientDuplexStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (bytes: Buffer) => {
      if (!this.#isClosed) this.handlers.data(bytes);
    });
  }

  abstract get remote(): string;
  abstract destroy(): void;

  write(bytes: Buffer, landed: (error: Error | null | undefined) => void): void {
    if (this.#isClosed) landed(new Error('the stream has ended'));
    else this.call.write(bytes, landed);
  }

  end(): void {
    if (!this.#isClosed) this.call.end();
  }

  protected closed(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.handlers.closed(why);
  }
}

export class OpenedStream extends Half {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;

  constructor(call: ClientDuplexStream<Buffer, Buffer>) {
    super(call);
    this.#call = call;
    // Without a listener an error would end the process. `closed` reports only the first of these events.
    call.on('error', (error) => this.closed(error.message));
    call.on('end', () => this.closed('the peer ended it'));
    call.on('status', ({ details }) => this.closed(details));
  }

  get remote(): string {
    return this.#call.getPeer();
  }

  destroy(): void {
    this.#call.cancel();
    this.closed('it was given up');
  }
}

export class AcceptedStream extends Half {
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #cut: () => void;

  /** `cut` destroys the connection. The call itself can only end with the peer's cooperation, which a frozen peer never gives. */
  constructor(call: ServerDuplexStream<Buffer, Buffer>, cut: () => void) {
    super(call);
    this.#call = call;
    this.#cut = cut;
    call.on('error', (error) => this.closed(error.message));
    call.on('cancelled', () => this.closed('the connection broke'));
    call.on('end', () => {
      call.end();
      this.closed('the peer ended it');
    });
  }

  get remote(): string {
    return this.#call.getPeer();
  }

  destroy(): void {
    this.#cut();
    this.closed('it was given up');
  }
}
