/**
 * A second opinion on the log, written to be obviously right instead of fast: one flat list of messages, scanned for every
 * question. It judges the answers of the core; it knows nothing of how the core keeps its state.
 */
import assert from 'node:assert';
import type { Contract, ControlAnswer, ControlOp, JoinOp, PurgeOp, ReadyAnswer } from '../../src/core/log/control-operations.js';
import type {
  Answer,
  AppendOp,
  FinishOp,
  NewMessage,
  RefusalCode,
  SessionOp,
  TakeoverOp,
} from '../../src/core/log/operations.js';
import { READY_ALL, type Witness } from './scenario.js';

interface Message {
  readonly entity: string;
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly given: boolean;
  readonly digest: string;
  state: 'pending' | 'running' | 'ended';
  attempt: number;
  notBeforeMs: number;
}
interface Owner {
  owner: number;
  fence: number;
  holdUntilMs: number;
}
interface Living {
  readonly workersMax: number;
  readonly contracts: readonly Contract[];
  isDead: boolean;
}
/** What an operation has to be refused with; undefined: it has to be done. */
type Verdict = RefusalCode | undefined;

export class Oracle implements Witness {
  readonly messages: Message[] = [];
  readonly #owners = new Map<string, Owner>();
  readonly #members = new Map<number, Living>();
  readonly #begun = new Set<string>();
  /** `untilMs`: when it may be forgotten; undefined while its message lives. */
  #given: { key: string; seq: number; digest: string; untilMs: number | undefined }[] = [];
  #join: JoinOp | undefined;
  #fence = 0;
  /** What died, in order: the first letter is 1. */
  readonly #letters: Message[] = [];
  /** When each letter that is there was made, by its number. */
  readonly #present = new Map<number, number>();

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
    return this.#members.get(me)?.contracts.find((c) => entity.startsWith(`${c.type}:`));
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

  #workersMax(): number {
    const living = [...this.#members.values()].filter((m) => !m.isDead && m.contracts.length > 0);
    return living.some((m) => m.workersMax === 0) ? 0 : living.reduce((sum, m) => sum + m.workersMax, 0);
  }

  #overLimit(entity: string, depthMax: number): Verdict {
    const totalMax = this.#join?.settings.depthMax ?? 0;
    const depth = this.live(entity).length;
    if (totalMax > 0 && this.live().length >= totalMax) return 'QUEUE_DEPTH_EXCEEDED';
    if (depthMax > 0 && depth >= depthMax) return 'QUEUE_DEPTH_EXCEEDED';
    const workersMax = this.#workersMax();
    return depth === 0 && workersMax > 0 && this.active() >= workersMax ? 'WORKER_LIMIT_EXCEEDED' : undefined;
  }

  // ---- changes

  #add(entity: string, { id, name, given, digest }: Pick<NewMessage, 'id' | 'name' | 'given' | 'digest'>, seq: number): Message {
    for (const m of this.messages) if (m.entity === entity) assert(m.seq < seq, `sequence ${seq} of ${entity} was given before`);
    const added: Message = { entity, seq, id, name, given, digest, state: 'pending', attempt: 1, notBeforeMs: 0 };
    this.messages.push(added);
    if (given) this.#keep(added, undefined);
    return added;
  }

  #keep({ entity, id, seq, digest }: Message, untilMs: number | undefined): void {
    const key = `${entity} ${id}`;
    this.#given = this.#given.filter((g) => g.key !== key);
    this.#given.push({ key, seq, digest, untilMs });
  }

  #begin(message: Message): void {
    const start = `${message.entity} ${message.seq} ${message.attempt}`;
    assert(!this.#begun.has(start), `${start} began twice`);
    assert.strictEqual(this.#pending(message.entity)[0], message, `${start} began before its turn`);
    assert.strictEqual(this.#running(message.entity), undefined, `${start} began beside another`);
    this.#begun.add(start);
    message.state = 'running';
  }

  #end(message: Message, nowMs: number): void {
    message.state = 'ended';
    if (message.given) this.#keep(message, nowMs + (this.#join?.settings.entryTtlMs ?? 0));
  }

  // ---- judgement

  applied(op: SessionOp, me: number, answer: Answer, nowMs: number): void {
    const judged = this.#judge(op, me, answer, nowMs);
    const got = answer.ok ? undefined : answer.code;
    assert.strictEqual(got, judged, `${JSON.stringify(op)} by ${me}: ${JSON.stringify(answer)}, the oracle says ${judged}`);
    if (op.op === 'expire' && op.max > 0) for (const entity of this.#owners.keys()) this.#endHold(entity, nowMs);
    if (answer.ok && 'entity' in op) this.#endHold(op.entity, nowMs);
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
        return this.#withdraw(op, nowMs, answer);
      case 'release': {
        if (!this.#holds(me, op)) return 'FENCED';
        if (this.#running(op.entity) !== undefined) return 'RUNNING';
        if (!op.handoff && this.#pending(op.entity).length > 0) return 'MORE';
        this.#owners.set(op.entity, { ...this.#owner(op.entity), owner: 0 });
        return undefined;
      }
      case 'takeover':
        return this.#takeover(op, answer, nowMs);
      case 'expire': {
        if (op.max > 0) this.#given = this.#given.filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs);
        return undefined;
      }
      case 'shed':
        return undefined;
      case 'late':
        return answer.ok ? undefined : answer.code;
    }
  }

  #beginHead(entity: string, told: { seq: number; attempt: number }): void {
    const head = this.#pending(entity)[0]!;
    assert.deepStrictEqual([told.seq, told.attempt], [head.seq, head.attempt]);
    this.#begin(head);
  }

  #append(op: AppendOp, me: number, answer: Answer, nowMs: number): Verdict {
    const known = this.#given.find((g) => op.message.given && g.key === `${op.entity} ${op.message.id}`);
    if (known !== undefined) {
      assert(!answer.ok || ('known' in answer && answer.known !== undefined));
      return known.digest === op.message.digest ? undefined : 'ID_REUSED';
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
    assert.strictEqual(answer.pending, this.#pending(entity).length);
    this.#owners.set(entity, { ...was, owner: me, fence: answer.fence });
    return undefined;
  }

  #finish(op: FinishOp, me: number, answer: Answer, nowMs: number): Verdict {
    const running = this.#running(op.entity);
    if (!this.#holds(me, op)) return 'FENCED';
    if (running?.seq !== op.seq || running.attempt !== op.attempt) return 'NOT_RUNNING';
    // Tried out on a copy of the list: the message ends, the sends are added one by one, and one refusal undoes all.
    const before = this.messages.map((m) => ({ ...m }));
    const givenBefore = this.#given.map((g) => ({ ...g }));
    this.#end(running, nowMs);
    const verdict = this.#overLimitOfSends(op);
    if (verdict !== undefined) {
      this.messages.splice(0, this.messages.length, ...before);
      this.#given = givenBefore;
    } else if ('sent' in answer) {
      assert.strictEqual(answer.sent.length, op.sends.length);
      op.sends.forEach((send, i) => {
        assert.strictEqual(answer.sent[i]!.owner, this.#owner(send.entity).owner);
        this.#add(send.entity, send.message, answer.sent[i]!.seq);
      });
      const begins = op.next >= 0 && this.#whyNotBegin(me, op.entity, nowMs) === undefined;
      assert.strictEqual(answer.next !== undefined, begins);
      if (answer.next !== undefined) this.#beginHead(op.entity, answer.next);
      if (op.outcome.state === 'failed' && op.outcome.noDeadLetter !== true) this.#die(running, nowMs);
    }
    return verdict;
  }

  #overLimitOfSends(op: FinishOp): Verdict {
    const size = this.messages.length;
    const totalMax = this.#join?.settings.depthMax ?? 0;
    let verdict: Verdict;
    if (totalMax > 0 && op.sends.length > 0 && this.live().length + op.sends.length > totalMax) verdict = 'QUEUE_DEPTH_EXCEEDED';
    for (const { entity, depthMax, message } of op.sends) {
      verdict ??= this.#overLimit(entity, depthMax);
      const { id, name, given, digest } = message;
      const seq = Number.MAX_SAFE_INTEGER;
      this.messages.push({ entity, seq, id, name, given, digest, state: 'pending', attempt: 1, notBeforeMs: 0 });
    }
    this.messages.length = size;
    return verdict;
  }

  #withdraw(op: { entity: string; id: string; seq: number }, nowMs: number, answer: Answer): Verdict {
    const message = this.messages.find((m) => m.entity === op.entity && m.seq === op.seq && m.id === op.id);
    if (message?.state === 'running') return 'RUNNING';
    if (message?.state !== 'pending') {
      assert(!answer.ok && (answer.code === 'TERMINAL' || answer.code === 'ABSENT'));
      return answer.code;
    }
    this.#end(message, nowMs);
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
    if (this.#members.get(op.incarnation)?.isDead === false) return 'NOT_DEAD';
    const contract = this.#contract(op.incarnation, op.entity);
    const holdUntilMs = Math.max(was.holdUntilMs, nowMs + (this.#join?.settings.takeoverHoldMs ?? 0));
    this.#owners.set(op.entity, { ...was, owner: 0, holdUntilMs: running === undefined ? was.holdUntilMs : holdUntilMs });
    if (running === undefined || !('interrupted' in answer)) return undefined;
    const again = contract?.onInterrupt === 'retry' && running.attempt < contract.maxAttempts;
    assert.deepStrictEqual([answer.interrupted?.seq, answer.interrupted?.requeued], [running.seq, again]);
    if (again) Object.assign(running, { state: 'pending', attempt: running.attempt + 1, notBeforeMs: 0 });
    else {
      this.#end(running, nowMs);
      assert.strictEqual(answer.interrupted?.deadLetter, contract?.queries?.includes(running.name) !== true);
      if (answer.interrupted.deadLetter) this.#die(running, nowMs);
    }
    return undefined;
  }

  #die(message: Message, nowMs: number): void {
    this.#present.set(this.#letters.push(message), nowMs);
  }

  #purge({ letter, limits }: PurgeOp, answer: ControlAnswer, nowMs: number): void {
    if (!answer.ok && answer.code !== 'WITHIN_LIMITS') return;
    const diedMs = this.#present.get(Number(letter)) ?? Number.NaN;
    const { max, ttlMs } = limits ?? { max: 0, ttlMs: 0 };
    const isOldest = Number(letter) === Math.min(...this.#present.keys());
    const isPast = (max > 0 && this.#present.size > max && isOldest) || (ttlMs > 0 && nowMs - diedMs >= ttlMs);
    assert.deepStrictEqual(answer.ok, limits === undefined || isPast);
    if (answer.ok) this.#present.delete(Number(letter));
  }

  controlled(op: ControlOp, answer: ControlAnswer, nowMs: number): void {
    if (op.op === 'purge') this.#purge(op, answer, nowMs);
    if (!answer.ok) return;
    if (op.op === 'join' && 'incarnation' in answer && !this.#members.has(answer.incarnation)) {
      this.#join = op;
      this.#members.set(answer.incarnation, { workersMax: op.workersMax, contracts: op.contracts, isDead: false });
    }
    if (op.op === 'bury' || op.op === 'leave') {
      const member = this.#members.get(op.incarnation);
      if (member !== undefined) member.isDead = true;
    }
    if (op.op === 'replay' && 'seq' in answer) {
      const { entity, name, id, seq, digest, given } = this.#letters[Number(op.letter) - 1]!;
      // A caller's id goes on with the replay, unless a later message has it.
      const goesOn = given && (this.#given.find((g) => g.key === `${entity} ${id}`)?.seq ?? seq) === seq;
      assert.strictEqual(answer.id === id, goesOn, `the replay of ${id} is ${answer.id}`);
      this.#add(entity, { id: answer.id, name, given: goesOn, digest: goesOn ? digest : '' }, answer.seq);
    }
    if (op.op === 'counts' && 'depth' in answer) {
      const lastLetter = this.#letters.length;
      assert.deepStrictEqual(
        { depth: answer.depth, active: answer.active, letters: answer.letters, lastLetter: answer.lastLetter },
        { depth: this.live().length, active: this.active(), letters: this.#present.size, lastLetter },
      );
    }
    if (op.op === 'ready' && op.max === READY_ALL) {
      const { entities } = answer as ReadyAnswer;
      assert.deepStrictEqual(entities.map((e) => e.entity).sort(), this.ready());
    }
  }
}
