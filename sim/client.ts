/** The clients: they call a node as an application does, and record the outcome. */
import { AtomicQueuesError } from '../src/core/errors.js';
import type { History } from './history.js';
import type { Job } from './job.js';
import type { Settings } from './plan.js';
import { errorCodeOf, outgoingOf, type SimNode } from './sim-node.js';

export interface CallOptions {
  readonly how?: 'enqueue' | 'wait';
  readonly id?: string | undefined;
  readonly onTimeout?: 'keep' | 'withdraw' | undefined;
  readonly probe?: boolean;
  /** For a call that waits, in ms. Left out: as configured. */
  readonly timeoutMs?: number;
}

/** The state of a call, as its caller knows it. */
export interface Call {
  readonly name: string;
  outcome: 'open' | 'ok' | 'fail' | 'unknown';
  code: string;
  result: string;
  /** Why it failed. */
  error: unknown;
  /** Is called when the call settles. */
  settled: (() => void) | undefined;
}

interface Took {
  readonly tookMs: number;
  readonly elapsedMs: number;
  readonly invoked: number;
}

/** Slack in ms on top of what the config promises: the resolution of the runtime's timers, and their lateness. */
const SLACK_MS = 400;

export class Client {
  constructor(
    private readonly history: History,
    private readonly settings: Settings,
  ) {}

  call(at: SimNode, entity: string, job: Job, options: CallOptions): Call {
    const call: Call = { name: job.c, outcome: 'open', code: '', result: '', error: undefined, settled: undefined };
    const { node, name, incarnation } = at;
    if (node === undefined) throw new Error(`${name} is down`);
    const { settings } = this;
    const { how = 'enqueue', id, onTimeout, probe = false, timeoutMs = settings.replyTimeoutMs } = options;
    const promiseMs = how === 'enqueue' ? settings.enqueueTimeoutMs : timeoutMs + settings.storeCallTimeoutMs;
    const { op, amount } = job;
    const where = { node: name, incarnation };
    const invoked = this.history.events.length;
    this.history.add({
      ...{ kind: 'invoke', ...where, call: job.c, how, entity, op, amount, id: id ?? '', probe },
      deadlineMs: promiseMs + SLACK_MS,
      ...(how === 'wait' && { timeoutMs }),
    });
    const [sinceMs, fromMs] = [at.runningMs(), at.clockMs()];
    const took = (): Took => ({ tookMs: at.runningMs() - sinceMs, elapsedMs: at.clockMs() - fromMs, invoked });
    const ok = (more: { id?: string; seq?: number; result?: string }): void => {
      this.history.add({ kind: 'ok', ...where, call: job.c, tookMs: took().tookMs, ...more });
      settle(call, 'ok', '', more.result ?? '');
    };
    const failed = (error: unknown): void => this.failed(call, where, error, took());
    try {
      const message = outgoingOf({ entity, job }, id);
      if (how === 'enqueue') node.enqueue(message).then((receipt) => ok({ id: receipt.id, seq: receipt.sequence }), failed);
      else node.enqueueAndWait(message, { timeoutMs, onTimeout }).then((result) => ok({ result }), failed);
    } catch (error) {
      failed(error);
    }
    return call;
  }

  private failed(call: Call, where: { node: string; incarnation: number }, error: unknown, took: Took): void {
    const code = errorCodeOf(error);
    call.error = error;
    const definite = error instanceof AtomicQueuesError && error.definite;
    const wrong = misleading(error);
    if (wrong !== undefined) this.history.add({ kind: 'defect', ...where, what: `call ${call.name} failed with ${wrong}` });
    if (code === 'OTHER') this.history.add({ kind: 'defect', ...where, what: `a call failed with ${String(error)}` });
    const isVerdict = definite || code === 'HANDLER_FAILED' || code === 'INTERRUPTED';
    if (isVerdict) this.history.add({ kind: 'fail', ...where, call: call.name, code, definite, ...took });
    else this.history.add({ kind: 'unknown', ...where, call: call.name, code, ...took });
    settle(call, isVerdict ? 'fail' : 'unknown', code, '');
  }
}

/** Compares the message of a timeout with its fields. Returns the message if they disagree. */
function misleading(error: unknown): string | undefined {
  if (!(error instanceof AtomicQueuesError) || error.code !== 'REPLY_TIMEOUT') return undefined;
  const { message, definite, details } = error;
  const isRight = message.includes('was withdrawn and will not run') === definite && (details.withdrawn === true) === definite;
  return isRight ? undefined : `"${message}", which is ${definite ? '' : 'not '}definite`;
}

function settle(call: Call, outcome: Call['outcome'], code: string, result: string): void {
  Object.assign(call, { outcome, code, result });
  call.settled?.();
}
