import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import type { Identity, JoinAnswer, JoinOp, Remembered, Settings } from '../../src/core/log/control-operations.js';
import type { AppendOp, Batch, BatchReply, NewMessage, SessionOp } from '../../src/core/log/operations.js';
import type { Store } from '../../src/ports/store.js';
import { StoreCallError } from '../../src/ports/store.js';
import { RedisStore, type RedisStoreOptions } from '../../src/redis/store.js';
import { SystemClock } from '../../src/system/clock.js';

export const ENTITY = 'account:a-1';

export const message = (id: string, more: Partial<NewMessage> = {}): NewMessage => ({
  ...{ id, given: false, digest: '', name: 'Deposit', payload: '{"amount":1}', headers: '', chain: '', waiter: 0, replayOf: '' },
  ...more,
});

export const append = (id: string, more: Partial<AppendOp> = {}): AppendOp => ({
  ...{ op: 'append', entity: ENTITY, message: message(id), depthMax: 0, begin: true },
  ...more,
});

export const redisStore = (port: number, more: Partial<RedisStoreOptions> = {}): RedisStore =>
  new RedisStore({
    ...{ connection: { port }, keyPrefix: 'aq', storeCallTimeoutMs: 400, connectTimeoutMs: 500, clock: new SystemClock() },
    ...more,
  });

/** A session on a store: numbers its batches. */
export class Session {
  #n = 0;

  constructor(
    readonly store: Store,
    readonly joined: JoinAnswer,
    readonly token: string,
  ) {}

  /** The member, remembering no acknowledgement. */
  get remembered(): Remembered {
    return { ...this.identity, lastHeartbeat: 0, lastBatch: 0 };
  }

  get identity(): Identity {
    return { generation: this.joined.generation, incarnation: this.joined.incarnation, token: this.token };
  }

  batch(...ops: SessionOp[]): Batch {
    return { ...this.identity, n: ++this.#n, ops };
  }

  apply(...ops: SessionOp[]): Promise<BatchReply> {
    return this.store.apply(this.batch(...ops));
  }
}

export const joinOf = (generation: string, settings: Partial<Settings> = {}): JoinOp => ({
  ...{ op: 'join', serverId: 's', group: 'g', address: 'h:1', token: `t-${generation}`, schema: 1, generation, workersMax: 0 },
  settings: {
    ...{ leaseTtlMs: 60_000, takeoverHoldMs: 0, entryTtlMs: 1000, resultTtlMs: 1000, depthMax: 0 },
    ...{ leaderTtlMs: 1000, leaderDebounceMs: 0, ...settings },
  },
  contracts: [{ type: 'account', maxAttempts: 2, onInterrupt: 'dead-letter', names: ['Deposit'], depthMax: 0 }],
});

export async function join(store: Store, generation = 'g1', settings: Partial<Settings> = {}): Promise<Session> {
  const joined = await store.control(joinOf(generation, settings));
  if (!joined.ok) throw new Error(`join was refused: ${joined.code}`);
  return new Session(store, joined, `t-${generation}`);
}

/** The error of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<StoreCallError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof StoreCallError) return error;
    throw error;
  }
  throw new Error('the call succeeded');
}

/** Calls until it succeeds, as a session resends. */
export async function patiently<T>(call: () => Promise<T>, timeoutMs = 8000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof StoreCallError) || Date.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** A link to a server that can swallow the next reply and then break, and lead new connections to another server. */
export class BreakingLink {
  /** Whether the next reply never arrives: the link breaks instead. */
  swallows = false;
  /** Where new connections lead; those that are there stay. */
  target = 0;
  accepted = 0;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  async listen(target: number): Promise<number> {
    this.target = target;
    const server = createServer((client) => {
      this.accepted++;
      const upstream = dial(this.target, '127.0.0.1');
      const drop = (): void => {
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', drop).on('close', drop);
      }
      client.on('data', (data) => upstream.write(data));
      upstream.on('data', (data) => {
        if (!this.swallows) {
          client.write(data);
          return;
        }
        this.swallows = false;
        drop();
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return address.port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }
}
