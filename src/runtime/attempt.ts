import { idOfKey, typeOfKey } from '../core/ids.js';
import type { MessageRecord } from '../core/log/operations.js';
import type { Delivery } from '../ports/handler.js';
import type { EntityContext } from './context.js';
import type { Due } from './due-times.js';
import type { EntityWorker } from './worker.js';

/** What the check of a payload threw; undefined if the payload fits. */
export type Verdict = undefined | { readonly thrown: unknown };

/** Returns what was thrown. Replaces nothing, and a proxy that throws when it is inspected (a revoked one does), by an error. */
function readable(thrown: unknown): unknown {
  if (thrown === undefined || thrown === null) return new Error('the handler rejected with nothing');
  try {
    Object.getPrototypeOf(thrown);
    return thrown;
  } catch {
    return new Error('the handler threw a proxy that cannot be read');
  }
}

/** One run of a handler. */
export class Attempt implements Due {
  dueAtMs = 0;
  startedAtMs = 0;
  blocked = false;
  /** Its incarnation was evicted: the outcome becomes a late note and no longer ends the message. */
  zombie = false;
  /** The evicted incarnation, if this is a zombie attempt. */
  incarnation = 0;

  private readonly delivery: { -readonly [K in keyof Delivery]: Delivery[K] };

  constructor(
    readonly worker: EntityWorker,
    readonly record: MessageRecord,
    readonly context: EntityContext,
  ) {
    const { entity } = worker;
    const { name, payload, attempt, replayOf } = record;
    const mayHaveRun = attempt > 1 || replayOf !== '';
    this.delivery = { type: typeOfKey(entity), entityId: idOfKey(entity), name, payload, mayHaveRun, carried: undefined };
  }

  /** Checks whether the payload fits the handler. Never throws or rejects. */
  check(): Verdict | Promise<Verdict> {
    try {
      const checking = this.worker.table.checkPayload(this.delivery);
      return checking?.then(
        () => undefined,
        (thrown: unknown) => ({ thrown: readable(thrown) }),
      );
    } catch (thrown) {
      return { thrown: readable(thrown) };
    }
  }

  start(): void {
    const { worker, delivery, record } = this;
    const { table } = worker;
    delivery.carried = table.carriedFor(worker.entity, record.id);
    worker.phase = 'running';
    table.began(this);
    let running: Promise<string>;
    try {
      running = this.context.run(table.runHandler, delivery);
    } catch (thrown) {
      running = Promise.reject(thrown);
    }
    running.then(
      (result) => this.end(result, undefined),
      (thrown) => this.end(undefined, readable(thrown)),
    );
  }

  /** Called when the handler is past its timeout: its signal aborts, and the entity is blocked until the handler ends. */
  onDue(): void {
    this.worker.table.blocked(this);
  }

  private end(result: string | undefined, thrown: unknown): void {
    this.worker.table.stopped(this);
    this.worker.attemptEnded(this, result, thrown);
  }
}
