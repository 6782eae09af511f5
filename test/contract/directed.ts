/** Scripts of store calls that are written out, for what the drawn ones meet too seldom. */
import { applyBatch, applyControl } from '../../src/core/log/apply.js';
import type { ControlOp } from '../../src/core/log/control-operations.js';
import {
  type AppendOp,
  type NewMessage,
  type Outcome,
  RECALLED_BYTES_MAX,
  type Send,
  type SessionOp,
} from '../../src/core/log/operations.js';
import { PartitionState } from '../../src/core/log/state.js';
import { contractsOf, identityOf, type NodeState, tokenOf } from './members.js';
import { type Call, START_MS, type Step } from './scenario.js';
import { SessionOps } from './session-ops.js';

const DONE: Outcome = { state: 'completed', result: '', error: '' };
const FAILED: Outcome = { state: 'failed', result: '', error: '{"message":"no"}' };

const messageOf = (id: string, given = false): NewMessage => ({
  ...{ id, given, digest: given ? 'd' : '', name: 'Deposit', payload: '{}', headers: '', chain: '', waiter: 0, replayOf: '' },
});
const arrivalOf = (entity: string, message: NewMessage): SessionOp[] => [
  { op: 'claim', entity },
  { op: 'append', entity, message, depthMax: 0, begin: true },
];
const sendTo = (entity: string): Send => ({ entity, message: messageOf(`to ${entity}`), depthMax: 0 });

/** One node that has joined, the core that applies its calls, and the steps so far. */
class Script {
  readonly state = new PartitionState();
  readonly steps: Step[] = [];
  readonly #node: NodeState = { serverId: 's-a', group: 'one', incarnation: 1, heartbeat: 0, n: 0, token: 0, sent: [] };
  #nowMs = START_MS;

  constructor(limits: { readonly depthMax?: number; readonly workersMax?: number } = {}) {
    const { depthMax = 0, workersMax = 0 } = limits;
    const times = { leaseTtlMs: 1000, takeoverHoldMs: 30, entryTtlMs: 400, resultTtlMs: 400 };
    this.control({
      ...{ op: 'join', serverId: 's-a', group: 'one', address: 'h:1', token: tokenOf('s-a', 0), generation: 'g1', schema: 1 },
      ...{ workersMax, settings: { ...times, depthMax, leaderTtlMs: 1000, leaderDebounceMs: 0 } },
      contracts: contractsOf(this.#node),
    });
  }

  control(control: ControlOp): void {
    this.#apply({ control });
  }

  batch(...ops: readonly SessionOp[]): void {
    this.#apply({ batch: { ...identityOf(this.#node), n: ++this.#node.n, ops } });
  }

  /** Ends what runs, and begins nothing. */
  finish(entity: string, sends: readonly Send[], outcome: Outcome = DONE): void {
    const { fence = 0, running } = this.state.entities.get(entity) ?? {};
    const { seq = 0, attempt = 0 } = running ?? {};
    this.batch({ op: 'finish', entity, fence, seq, attempt, outcome, sends, next: -1 });
  }

  wait(ms: number): void {
    this.#nowMs += ms;
  }

  #apply(call: Call): void {
    const reply =
      'batch' in call ? applyBatch(this.state, call.batch, this.#nowMs) : applyControl(this.state, call.control, this.#nowMs);
    this.steps.push({ call, nowMs: this.#nowMs, reply: structuredClone(reply) });
  }
}

/** One handler ends and has sent so many messages to a hundred entities, some of them with ids; then one of those is run. */
export function manySends(count: number): readonly Step[] {
  const script = new Script();
  const ops = new SessionOps(script.state);
  script.batch(...ops.arrival('account:a', 1));
  const sends = Array.from({ length: count }, (_, i) => {
    const [, append] = ops.arrival(`account:to-${i % 100}`, i % 8 === 0 ? 0 : 1) as [SessionOp, AppendOp];
    const { message } = append;
    return { entity: append.entity, message: { ...message, id: message.given ? `k${i}` : message.id }, depthMax: 0 };
  });
  script.finish('account:a', sends);
  script.batch({ op: 'claim', entity: 'account:to-7' }, { op: 'begin', entity: 'account:to-7', fence: 2, have: 0 });
  return script.steps;
}

/** Only one entity may have messages: a handler sends to another one, first with more messages behind its own, then with none. */
export function sendsOfLastWorker(): readonly Step[] {
  const script = new Script({ workersMax: 1 });
  script.batch(...arrivalOf('account:a', messageOf('m1')));
  script.batch(...arrivalOf('account:a', messageOf('m2')));
  script.finish('account:a', [sendTo('account:b')]);
  script.batch({ op: 'withdraw', entity: 'account:a', id: 'm2', seq: 2 });
  script.finish('account:a', [sendTo('account:b'), sendTo('account:c')]);
  script.finish('account:a', [sendTo('account:b')]);
  return script.steps;
}

/** The log may have one message: a handler sends two, then one. */
export function sendsIntoDepthOfOne(): readonly Step[] {
  const script = new Script({ depthMax: 1 });
  script.batch(...arrivalOf('account:a', messageOf('m1')));
  script.finish('account:a', [sendTo('account:b'), sendTo('account:b')]);
  script.finish('account:a', [sendTo('account:b')]);
  return script.steps;
}

/** A dead letter is replayed while the id that its caller gave is kept, and what runs again lives longer than that. */
export function replayOfKeptId(): readonly Step[] {
  const script = new Script();
  script.batch(...arrivalOf('account:a', messageOf('pay', true)));
  script.finish('account:a', [], FAILED);
  script.wait(100);
  script.control({ op: 'replay', letter: '1', force: false });
  script.wait(400);
  script.batch({ op: 'expire', max: 10 });
  script.batch({ op: 'begin', entity: 'account:a', fence: 1, have: 0 });
  script.finish('account:a', []);
  script.control({ op: 'lookup', entity: 'account:a', id: 'pay', seq: 2 });
  return script.steps;
}

/** One batch asks for three known messages. The first has a result that leaves `bytesLeft` of the room for results in a reply. */
export function knownResults(bytesLeft: number): readonly Step[] {
  const script = new Script();
  const arrivals = ['account:a', 'account:b', 'account:c'].map((entity) => arrivalOf(entity, messageOf('k', true)));
  const large = 'x'.repeat(RECALLED_BYTES_MAX - bytesLeft);
  script.batch(...arrivals.flat());
  script.finish('account:a', [], { ...DONE, result: large });
  for (const entity of ['account:b', 'account:c']) script.finish(entity, [], { ...DONE, result: '"ok"' });
  script.batch(...arrivals.map(([, append]) => append as AppendOp));
  return script.steps;
}
