/** One gRPC stream, whichever side opened it: bytes both ways, and one end. */
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';

export interface StreamHandlers {
  data(bytes: Buffer): void;
  /** It has ended, in whatever way; called once, and nothing after it. */
  closed(why: string): void;
}

export interface Stream {
  /** Who takes what comes; may be exchanged. */
  handlers: StreamHandlers;
  /** The address at the other end, for people. */
  readonly remote: string;
  write(bytes: Buffer, landed: (error: Error | null | undefined) => void): void;
  /** Nothing more from here; what was written still leaves. */
  end(): void;
  /** Ends it at once, whatever the other end does. */
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
    // Without a listener an error would end the process; whatever ends it, it is one end.
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

  /** `cut` ends the connection: the call itself has only polite ends, which a frozen peer would never take. */
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
