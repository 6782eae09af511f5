/**
 * A second opinion on the log, written to be obviously right instead of fast: one flat list of messages, scanned for every
 * question. It judges the answers of the core; it knows nothing of how the core keeps its state.
 */
import assert from 'node:assert';
import type {
  Contract,
  ControlAnswer,
  ControlOp,
  Letter,
  LookupOp,
  OwnedAnswer,
  PurgeOp,
  ReadyAnswer,
  Settings,
} from '../../src/core/log/control-operations.js';
import type {
  Answer,
  AppendOp,
  FinishOp,
  LateOp,
  NewMessage,
  Outcome,
  RefusalCode,
  SessionOp,
  TakeoverOp,
  TerminalState,
} from '../../src/core/log/operations.js';
import { Cluster } from './cluster.js';
import { DeadLetters, type DeadMessage } from './dead-letters.js';
import { Kept, keyOf } from './kept.js';
import { READY_ALL, type Witness } from './scenario.js';

interface Message extends DeadMessage {
  /** The incarnation that waits for the outcome; 0: none. */
  readonly waiter: number;
  state: 'pending' | 'running' | 'ended';
  attempt: number;
  notBeforeMs: number;
}
interface Owner {
  owner: number;
  fence: number;
  holdUntilMs: number;
}
/** The error of a message whose node was lost. */
const INTERRUPTED_ERROR = '{"name":"Interrupted","message":"the node that ran the handler was lost"}';

/** Before the first join. */
const NO_SETTINGS: Settings = {
  ...{ depthMax: 0, entryTtlMs: 0, resultTtlMs: 0, takeoverHoldMs: 0, leaseTtlMs: 0, leaderTtlMs: 0, leaderDebounceMs: 0 },
};

/** What an operation has to be refused with; undefined: it has to be done. */
type Verdict = RefusalCode | undefined;

export class Oracle implements Witness {
  readonly messages: Message[] = [];
  readonly #owners = new Map<string, Owner>();
  readonly #cluster = new Cluster((incarnation) => this.#owned(incarnation).length);
  readonly #begun = new Set<string>();
  readonly #kept = new Kept();
  #generation = '';
  #fence = 0;
  readonly #letters = new DeadLetters();

  // ---- questions

  live(entity?: string): Message[] {
    return this.messages.filter((m) => m.state !== 'ended' && (entity === undefined || m.entity === entity));
  }

  /** Entities with something pending and nothing running. */
  ready(): string[] {
    const of = (state: Message['state']) => new Set(this.messages.filter((m) => m.state === state).map((m) => m.entity));
    const running = of('running');
    return [...of('pending')].filter((entity) => !running.has(entity)).sort();
  }

  active(): number {
    return new Set(this.live().map((m) => m.entity)).size;
  }

  #pending(entity: string): Message[] {
    return this.messages.filter((m) => m.entity === entity && m.state === 'pending').sort((a, b) => a.seq - b.seq);
  }

  #running(entity: string): Message | undefined {
    return this.messages.find((m) => m.entity === entity && m.state === 'running');
  }

  #owner(entity: string): Owner {
    return this.#owners.get(entity) ?? { owner: 0, fence: 0, holdUntilMs: 0 };
  }

  #contract(me: number, entity: string): Contract | undefined {
    return this.#cluster.contracts(me).find((c) => entity.startsWith(`${c.type}:`));
  }

  #owned(incarnation: number): string[] {
    return [...this.#owners].filter(([, { owner }]) => owner === incarnation).map(([entity]) => entity);
  }

  get #settings() {
    return this.#cluster.join?.settings ?? NO_SETTINGS;
  }

  #holds(me: number, op: { entity: string; fence: number }): boolean {
    const { owner, fence } = this.#owner(op.entity);
    return owner === me && fence === op.fence && me !== 0;
  }

  #whyNotBegin(me: number, entity: string, nowMs: number): Verdict {
    const [head] = this.#pending(entity);
    if (this.#running(entity) !== undefined) return 'RUNNING';
    if (head === undefined) return 'EMPTY';
    if (this.#owner(entity).holdUntilMs > nowMs) return 'HELD';
    if (head.notBeforeMs > nowMs) return 'NOT_BEFORE';
    return this.#contract(me, entity)?.names.includes(head.name) ? undefined : 'UNDECLARED';
  }

  #overLimit(entity: string, depthMax: number): Verdict {
    const totalMax = this.#settings.depthMax;
    const depth = this.live(entity).length;
    if (totalMax > 0 && this.live().length >= totalMax) return 'QUEUE_DEPTH_EXCEEDED';
    if (depthMax > 0 && depth >= depthMax) return 'QUEUE_DEPTH_EXCEEDED';
    const workersMax = this.#cluster.workersMax();
    return depth === 0 && workersMax > 0 && this.active() >= workersMax ? 'WORKER_LIMIT_EXCEEDED' : undefined;
  }

  // ---- changes

  #add(entity: string, added: Pick<NewMessage, 'id' | 'name' | 'given' | 'digest' | 'waiter'>, seq: number): Message {
    for (const m of this.messages) if (m.entity === entity) assert(m.seq < seq, `sequence ${seq} of ${entity} was given before`);
    const { id, name, given, digest, waiter } = added;
    const message: Message = { entity, seq, id, name, given, digest, waiter, state: 'pending', attempt: 1, notBeforeMs: 0 };
    this.messages.push(message);
    const key = keyOf(entity, id);
    if (given) this.#kept.put({ key, seq, digest, untilMs: undefined, state: 'live', result: '', error: '' });
    return message;
  }

  #begin(message: Message): void {
    const start = `${message.entity} ${message.seq} ${message.attempt}`;
    assert(!this.#begun.has(start), `${start} began twice`);
    assert.strictEqual(this.#pending(message.entity)[0], message, `${start} began before its turn`);
    assert.strictEqual(this.#running(message.entity), undefined, `${start} began beside another`);
    this.#begun.add(start);
    message.state = 'running';
  }

  /** `me`: the incarnation that ends it, which answers a caller of its own itself. */
  #end(
    message: Message,
    me: number,
    state: TerminalState,
    { result, error }: Pick<Outcome, 'result' | 'error'>,
    nowMs: number,
  ): void {
    message.state = 'ended';
    const { entity, id, seq, digest, given, waiter } = message;
    const isAwaited = waiter !== 0 && waiter !== me && state !== 'withdrawn';
    if (!given && !isAwaited) return;
    const untilMs = nowMs + (given ? this.#settings.entryTtlMs : this.#settings.resultTtlMs);
    this.#kept.put({ key: keyOf(entity, id), seq, digest, untilMs, state, result, error });
  }

  // ---- judgement

  applied(op: SessionOp, me: number, answer: Answer, nowMs: number): void {
    assert(this.#cluster.isAlive(me), `a batch of ${me} was applied, which is no member`);
    const judged = this.#judge(op, me, answer, nowMs);
    const got = answer.ok ? undefined : answer.code;
    assert.strictEqual(got, judged, `${JSON.stringify(op)} by ${me}: ${JSON.stringify(answer)}, the oracle says ${judged}`);
    const isKnown = 'known' in answer && answer.known !== undefined;
    if (answer.ok && 'entity' in op && op.op !== 'late' && !isKnown) this.#endHold(op.entity, nowMs);
  }

  /** Forgets a hold that has ended, once nothing else is left of the entity: a clock that is set back does not restore it. */
  #endHold(entity: string, nowMs: number): void {
    const { owner, holdUntilMs } = this.#owner(entity);
    if (owner === 0 && holdUntilMs <= nowMs && this.live(entity).length === 0) this.#owners.delete(entity);
  }

  #judge(op: SessionOp, me: number, answer: Answer, nowMs: number): Verdict {
    switch (op.op) {
      case 'append':
        return this.#append(op, me, answer, nowMs);
      case 'claim':
        return this.#claim(op.entity, me, answer);
      case 'begin': {
        const verdict = this.#holds(me, op) ? this.#whyNotBegin(me, op.entity, nowMs) : 'FENCED';
        if (verdict === 'HELD') assert(!answer.ok && answer.at === this.#owner(op.entity).holdUntilMs);
        if (verdict === undefined && 'attempt' in answer) this.#beginHead(op.entity, answer);
        return verdict;
      }
      case 'finish':
        return this.#finish(op, me, answer, nowMs);
      case 'retry': {
        const running = this.#running(op.entity);
        if (!this.#holds(me, op)) return 'FENCED';
        if (running?.seq !== op.seq || running.attempt !== op.attempt) return 'NOT_RUNNING';
        if (op.attempt >= (this.#contract(me, op.entity)?.maxAttempts ?? 1)) return 'EXHAUSTED';
        Object.assign(running, { state: 'pending', attempt: op.attempt + 1, notBeforeMs: nowMs + op.delayMs });
        return undefined;
      }
      case 'withdraw':
        return this.#withdraw(op, answer, nowMs);
      case 'release': {
        if (!this.#holds(me, op)) return 'FENCED';
        if (this.#running(op.entity) !== undefined) return 'RUNNING';
        if (!op.handoff && this.#pending(op.entity).length > 0) return 'MORE';
        this.#owners.set(op.entity, { ...this.#owner(op.entity), owner: 0 });
        return undefined;
      }
      case 'takeover':
        return this.#takeover(op, answer, nowMs);
      case 'expire':
        assert.deepStrictEqual(answer, { ok: true, count: op.max > 0 ? this.#expire(nowMs) : 0 });
        return undefined;
      case 'shed':
        this.#kept.shed(this.#settings, nowMs);
        return undefined;
      case 'late':
        return this.#late(op);
    }
  }

  /** Returns how many ids and ended holds were forgotten. */
  #expire(nowMs: number): number {
    const before = this.#owners.size;
    const count = this.#kept.expire(nowMs);
    for (const entity of [...this.#owners.keys()]) this.#endHold(entity, nowMs);
    return count + before - this.#owners.size;
  }

  /** A note needs the dead letter of that attempt: before the end of the attempt there is none, and there may come one. */
  #late(op: LateOp): Verdict {
    if (this.#letters.note(op)) return undefined;
    const { entity, incarnation } = op;
    return this.#owner(entity).owner === incarnation || this.#cluster.isAlive(incarnation) ? 'NOT_YET' : 'NO_LETTER';
  }

  #beginHead(entity: string, told: { seq: number; attempt: number }): void {
    const head = this.#pending(entity)[0]!;
    assert.deepStrictEqual([told.seq, told.attempt], [head.seq, head.attempt]);
    this.#begin(head);
  }

  #append(op: AppendOp, me: number, answer: Answer, nowMs: number): Verdict {
    const known = op.message.given ? this.#kept.find(op.entity, op.message.id) : undefined;
    if (known !== undefined) {
      if (known.digest !== op.message.digest) return 'ID_REUSED';
      assert('known' in answer && answer.known !== undefined && !answer.known.cut);
      this.#kept.judge({ entity: op.entity, id: op.message.id }, answer.known);
      const { owner } = this.#owner(op.entity);
      assert.deepStrictEqual([answer.seq, answer.depth, answer.owner], [known.seq, this.live(op.entity).length, owner]);
      return undefined;
    }
    const over = this.#overLimit(op.entity, op.depthMax);
    if (over !== undefined || !('depth' in answer && 'begun' in answer)) return over;
    const message = this.#add(op.entity, op.message, answer.seq);
    const { owner, holdUntilMs } = this.#owner(op.entity);
    const begins =
      op.begin &&
      owner === me &&
      this.live(op.entity).length === 1 &&
      holdUntilMs <= nowMs &&
      this.#contract(me, op.entity)?.names.includes(op.message.name) === true;
    assert.deepStrictEqual([answer.depth, answer.owner, answer.begun], [this.live(op.entity).length, owner, begins]);
    if (begins) this.#begin(message);
    return undefined;
  }

  #claim(entity: string, me: number, answer: Answer): Verdict {
    if (this.#contract(me, entity) === undefined) return 'UNDECLARED';
    const was = this.#owner(entity);
    if (was.owner !== 0 && was.owner !== me) return 'OWNED';
    if (!('fence' in answer)) return undefined;
    if (was.owner === me) assert.strictEqual(answer.fence, was.fence);
    else assert(answer.fence > this.#fence, 'a fence only grows');
    this.#fence = Math.max(this.#fence, answer.fence);
    assert.deepStrictEqual([answer.pending, answer.holdUntilMs], [this.#pending(entity).length, was.holdUntilMs]);
    this.#owners.set(entity, { ...was, owner: me, fence: answer.fence });
    return undefined;
  }

  #finish(op: FinishOp, me: number, answer: Answer, nowMs: number): Verdict {
    const running = this.#running(op.entity);
    if (!this.#holds(me, op)) return 'FENCED';
    if (running?.seq !== op.seq || running.attempt !== op.attempt) return 'NOT_RUNNING';
    // Tried out on a copy of the list: the message ends, the sends are added one by one, and one refusal undoes all.
    const before = this.messages.map((m) => ({ ...m }));
    const keptBefore = this.#kept.all;
    this.#end(running, me, op.outcome.state, op.outcome, nowMs);
    const verdict = this.#overLimitOfSends(op);
    if (verdict !== undefined) {
      this.messages.splice(0, this.messages.length, ...before);
      this.#kept.restore(keptBefore);
    } else if ('sent' in answer) {
      assert.strictEqual(answer.sent.length, op.sends.length);
      op.sends.forEach((send, i) => {
        assert.strictEqual(answer.sent[i]!.owner, this.#owner(send.entity).owner);
        this.#add(send.entity, send.message, answer.sent[i]!.seq);
      });
      const begins = op.next >= 0 && this.#whyNotBegin(me, op.entity, nowMs) === undefined;
      assert.strictEqual(answer.next !== undefined, begins);
      if (answer.next !== undefined) this.#beginHead(op.entity, answer.next);
      if (op.outcome.state === 'failed' && op.outcome.noDeadLetter !== true) this.#die(running, 'failed', me, nowMs);
    }
    return verdict;
  }

  #overLimitOfSends(op: FinishOp): Verdict {
    const size = this.messages.length;
    const totalMax = this.#settings.depthMax;
    let verdict: Verdict;
    if (totalMax > 0 && op.sends.length > 0 && this.live().length + op.sends.length > totalMax) verdict = 'QUEUE_DEPTH_EXCEEDED';
    for (const { entity, depthMax, message } of op.sends) {
      verdict ??= this.#overLimit(entity, depthMax);
      const { id, name, given, digest, waiter } = message;
      const seq = Number.MAX_SAFE_INTEGER;
      this.messages.push({ entity, seq, id, name, given, digest, waiter, state: 'pending', attempt: 1, notBeforeMs: 0 });
    }
    this.messages.length = size;
    return verdict;
  }

  #withdraw(op: { entity: string; id: string; seq: number }, answer: Answer, nowMs: number): Verdict {
    const message = this.messages.find((m) => m.entity === op.entity && m.seq === op.seq && m.id === op.id);
    if (message?.state === 'running') return 'RUNNING';
    if (message?.state !== 'pending') {
      return this.#kept.find(op.entity, op.id) === undefined ? 'ABSENT' : 'TERMINAL';
    }
    const owner = message.notBeforeMs > nowMs ? this.#owner(op.entity).owner : 0;
    assert.deepStrictEqual(answer, { ok: true, owner });
    this.#end(message, 0, 'withdrawn', { result: '', error: '' }, nowMs);
    return undefined;
  }

  #takeover(op: TakeoverOp, answer: Answer, nowMs: number): Verdict {
    const was = this.#owner(op.entity);
    const running = this.#running(op.entity);
    if (was.owner === 0 && op.incarnation === 0) {
      // Whether a record of nobody's entity exists is the core's own affair.
      return answer.ok ? undefined : answer.code;
    }
    if (was.owner !== op.incarnation) return 'OWNED';
    if (this.#cluster.isAlive(op.incarnation)) return 'NOT_DEAD';
    const contract = this.#contract(op.incarnation, op.entity);
    const heldMs = Math.max(was.holdUntilMs, nowMs + this.#settings.takeoverHoldMs);
    const holdUntilMs = running === undefined ? was.holdUntilMs : heldMs;
    assert.strictEqual('holdUntilMs' in answer ? answer.holdUntilMs : undefined, holdUntilMs, 'the hold of a take-over');
    this.#owners.set(op.entity, { ...was, owner: 0, holdUntilMs });
    if (running === undefined || !('interrupted' in answer)) return undefined;
    const again = contract?.onInterrupt === 'retry' && running.attempt < contract.maxAttempts;
    assert.deepStrictEqual([answer.interrupted?.seq, answer.interrupted?.requeued], [running.seq, again]);
    if (again) Object.assign(running, { state: 'pending', attempt: running.attempt + 1, notBeforeMs: 0 });
    else {
      this.#end(running, 0, 'interrupted', { result: '', error: INTERRUPTED_ERROR }, nowMs);
      assert.strictEqual(answer.interrupted?.deadLetter, contract?.queries?.includes(running.name) !== true);
      if (answer.interrupted.deadLetter) this.#die(running, 'interrupted', op.incarnation, nowMs);
    }
    return undefined;
  }

  #die(message: Message, reason: Letter['reason'], incarnation: number, nowMs: number): void {
    this.#letters.add({ message, attempt: message.attempt, incarnation, reason, diedAtMs: nowMs });
  }

  #purge(op: PurgeOp, answer: ControlAnswer, nowMs: number): void {
    const dead = this.#letters.purge(op, answer, nowMs);
    if (dead?.message.given !== true) return;
    const { entity, id, seq } = dead.message;
    this.#kept.purge(entity, id, seq);
  }

  #lookup({ entity, id, seq, generation }: LookupOp, answer: ControlAnswer): void {
    const isForeign = generation !== undefined && generation !== this.#generation;
    assert.strictEqual(!answer.ok && answer.code === 'LOST', isForeign);
    if (isForeign) return;
    const known = this.#kept.find(entity, id);
    const isLive = this.live(entity).some((m) => m.id === id && m.seq === seq);
    assert.strictEqual(answer.ok ? undefined : answer.code, known !== undefined || isLive ? undefined : 'ABSENT');
    if (!('state' in answer)) return;
    if (known !== undefined) this.#kept.judge({ entity, id }, answer);
    else assert.deepStrictEqual([answer.state, answer.result, answer.error], ['live', '', '']);
  }

  controlled(op: ControlOp, answer: ControlAnswer, nowMs: number): void {
    if (op.op === 'purge') this.#purge(op, answer, nowMs);
    if (op.op === 'lookup') this.#lookup(op, answer);
    if (op.op === 'join') {
      this.#cluster.joined(op, answer, nowMs);
      if (answer.ok) this.#generation ||= op.generation;
    }
    if (op.op === 'closeStore' && op.generation === this.#generation) this.#generation = 'closed';
    if (op.op === 'heartbeat') this.#cluster.heartbeat(op, answer, nowMs);
    if (op.op === 'report') this.#cluster.report(op, answer);
    if (op.op === 'leave') this.#cluster.left(op.incarnation, answer);
    if (op.op === 'evict') this.#cluster.evicted(op, answer, nowMs);
    if (op.op === 'members' && 'members' in answer) this.#cluster.listed(op, answer);
    if (op.op === 'letters' && 'letters' in answer && 'next' in answer) this.#letters.listed(answer);
    if (op.op === 'owned' && op.incarnation !== 0)
      assert.deepStrictEqual([...(answer as OwnedAnswer).entities].sort(), this.#owned(op.incarnation).sort());
    if (!answer.ok) return;
    if (op.op === 'replay' && 'seq' in answer) {
      const dead = this.#letters.get(op.letter)!;
      const { entity, name, id, seq, digest, given } = dead.message;
      // A caller's id goes on with the replay, unless a later message has it.
      const goesOn = given && (this.#kept.find(entity, id)?.seq ?? seq) === seq;
      assert.strictEqual(answer.id === id, goesOn, `the replay of ${id} is ${answer.id}`);
      this.#add(entity, { id: answer.id, name, given: goesOn, digest: goesOn ? digest : '', waiter: 0 }, answer.seq);
      dead.replayedAs = answer.id;
    }
    if (op.op === 'counts' && 'depth' in answer) {
      assert.deepStrictEqual(
        { depth: answer.depth, active: answer.active, letters: answer.letters, lastLetter: answer.lastLetter },
        {
          depth: this.live().length,
          active: this.active(),
          letters: this.#letters.present.length,
          lastLetter: this.#letters.last,
        },
      );
    }
    if (op.op === 'ready' && op.max === READY_ALL) {
      const { entities } = answer as ReadyAnswer;
      assert.deepStrictEqual(entities.map((e) => e.entity).sort(), this.ready());
    }
  }
}
