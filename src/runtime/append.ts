/** One message on its way into the log, and what its caller receives. */
import { AtomicQueuesError } from '../core/errors.js';
import { typeOfKey, unescapeId } from '../core/ids.js';
import { type AnswerOf, type AppendOp, recordOf } from '../core/log/operations.js';
import type { Enqueue, KnownState, Receipt } from './enqueue.js';
import type { Waiter } from './replies.js';
import type { Step } from './session.js';
import type { EntityWorker } from './worker.js';

/** `cause`: the error that ended the session or the node, if one did. */
export function outcomeUnknown(append: Append, why: string, cause?: AtomicQueuesError): AtomicQueuesError {
  const { entity, message } = append.op;
  // A generated id is forgotten with its message: to send the message again would not be safe.
  const id = message.given ? unescapeId(message.id) : undefined;
  const details = { entity, id, cause: append.enqueue.parts.why() };
  return new AtomicQueuesError('OUTCOME_UNKNOWN', `${why}; the message may be logged and may run`, { details, cause });
}

export class Append implements Step<AppendOp> {
  sinceMs = 0;
  /** True if it is, or was, in a batch that left. */
  left = false;
  /** True if the session has it and it has not left. */
  isSubmitted = false;
  /** True if its caller has its answer. */
  closed = false;
  /** True while it, or an earlier message for its entity, is still being checked. */
  waitsForTurn = false;
  /** True if the directory has to be asked whether a member handles it. */
  asks = false;
  waiter: Waiter | undefined;
  worker: EntityWorker | undefined;
  onReceipt: ((receipt: Receipt) => void) | undefined;
  onError: (error: AtomicQueuesError) => void = () => undefined;

  constructor(
    readonly enqueue: Enqueue,
    public op: AppendOp,
  ) {}

  leaving(): void {
    this.left = true;
    this.isSubmitted = false;
    this.op.begin = this.worker?.mayBeginWithAppend(this.op.message.chain !== '') ?? false;
  }

  answered(answer: AnswerOf['append']): void {
    this.enqueue.close(this);
    const { op, worker } = this;
    if (!answer.ok || answer.known !== undefined || !answer.begun) {
      if (op.begin) worker?.appendDidNotBegin();
      if (!answer.ok) {
        this.failed(refusalOf(answer.code, answer.at, op));
        return;
      }
    }
    const { known } = answer;
    if (known?.state === 'withdrawn') {
      this.failed(withdrawn(op));
      return;
    }
    this.accepted(answer.seq, known?.state);
    if (known !== undefined) {
      this.knownAlready(answer.seq, known);
      return;
    }
    const record = recordOf(op.message, answer.seq, 1, 0, 0, '');
    if (answer.begun) worker?.launch(record);
    else this.enqueue.parts.router.deliver(op.entity, record, answer.owner);
  }

  private accepted(seq: number, state: KnownState | undefined): void {
    const { trace } = this.enqueue.parts;
    const { entity, message } = this.op;
    if (trace.verbose) trace.emit('accepted', { entity, id: message.id, name: message.name, seq });
    if (this.waiter !== undefined) {
      this.enqueue.parts.replies.logged(this.waiter, seq);
      if (state === undefined) this.waiter.onLogged?.();
    }
    if (this.onReceipt === undefined) return;
    // Generated ids are never escaped.
    const id = message.given ? unescapeId(message.id) : message.id;
    this.onReceipt(state === undefined ? { id, sequence: seq, duplicate: false } : { id, sequence: seq, duplicate: true, state });
  }

  /** The caller's id was known: settles the caller with the result of that message, if it has one. */
  private knownAlready(seq: number, known: NonNullable<AnswerOf['append']['known']>): void {
    if (this.waiter !== undefined) this.waiter.isOfAnother = true;
    const { entity, message } = this.op;
    const { replies } = this.enqueue.parts;
    if (!known.cut) replies.settleKnown(entity, message.id, seq, known);
    else if (this.waiter !== undefined) void replies.readBack.ask(entity, message.id, seq);
  }

  refused(error: AtomicQueuesError): void {
    this.isSubmitted = false;
    if (this.op.begin) this.worker?.appendDidNotBegin();
    this.op.begin = false;
    if (error.code === 'FENCED') {
      this.enqueue.hold(this);
      return;
    }
    this.enqueue.close(this);
    this.failed(error);
  }

  unknown(error: AtomicQueuesError): void {
    this.enqueue.close(this);
    this.failed(outcomeUnknown(this, error.message, error));
  }

  /** Takes the append back if it has not left the process. Returns whether it did; the append then never leaves. */
  takeBack(): boolean {
    if (this.left || this.closed) return false;
    this.enqueue.takeBack(this);
    return true;
  }

  /** Rejects the caller, which receives nothing after that. An answer that arrives later is still processed. */
  failed(error: AtomicQueuesError): void {
    this.enqueue.close(this);
    this.onReceipt = undefined;
    this.onError(error);
    this.onError = () => undefined;
  }
}

/** Instead of a receipt, which would promise a message that never runs. */
const withdrawn = ({ entity, message }: AppendOp): AtomicQueuesError => {
  const id = unescapeId(message.id);
  const text = `the message with id "${id}" was taken back before it began; send it under another id if it is to run after all`;
  return new AtomicQueuesError('WITHDRAWN', text, { details: { entity, id } });
};

function refusalOf(code: string, at: number, op: AppendOp): AtomicQueuesError {
  const details = { entity: op.entity, limit: at };
  switch (code) {
    case 'QUEUE_DEPTH_EXCEEDED': {
      const which = at === op.depthMax ? `workerMaxQueueDepth of "${typeOfKey(op.entity)}"` : 'maxTotalQueueDepth';
      return new AtomicQueuesError(code, `${which} (${at}) is reached; nothing was logged`, { details });
    }
    case 'WORKER_LIMIT_EXCEEDED':
      return new AtomicQueuesError(code, `${at} entities are active, the limit of all live nodes; nothing was logged`, {
        details,
      });
    case 'ID_REUSED':
      return new AtomicQueuesError(
        'SCHEMA_VIOLATION',
        `id "${unescapeId(op.message.id)}" was used before with another payload; nothing was logged`,
        { details: { entity: op.entity, id: unescapeId(op.message.id), path: 'id' } },
      );
    default:
      return new AtomicQueuesError('STORE_UNAVAILABLE', `the log refused the message (${code})`, {
        details: { ...details, cause: code },
      });
  }
}
