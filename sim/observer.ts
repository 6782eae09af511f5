/** Derives the effect of each applied step on the log, and records it. */
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import { CLOSED } from '../src/core/log/membership.js';
import type { Answer, Batch, BatchReply, SessionOp } from '../src/core/log/operations.js';
import { liveCount, PartitionState } from '../src/core/log/state.js';
import type { History } from './history.js';
import { LogEvents } from './log-events.js';

export class Observer {
  private readonly seen = new WeakSet<readonly Answer[]>();
  private letters = 0;
  private isClosed = false;
  /** Time at which each present dead letter was made, in ms of the store's clock. */
  private died = new Map<string, number>();
  /** The last term by group, by the store's clock. A renewal within the term is not recorded. */
  private readonly terms = new Map<string, { readonly epoch: number; readonly untilMs: number }>();
  /** The state after the step that is recorded. */
  private state = new PartitionState();
  private readonly log: LogEvents;

  constructor(private readonly history: History) {
    this.log = new LogEvents((event) => history.add(event), {
      fenceOf: (entity) => this.state.entities.get(entity)?.fence ?? 0,
      workersMax: () => this.state.workersMax,
    });
  }

  /** The store restarts empty or from an older state. */
  restarted(state: PartitionState): void {
    if (state.generation === '') {
      this.terms.clear();
      this.isClosed = false;
    }
    this.letters = state.letter;
    this.died = new Map([...state.letters.values()].map(({ id, diedAtMs }) => [id, diedAtMs]));
    const live = [...state.entities].map(([entity, rec]) => [entity, liveCount(rec)] as const);
    this.log.goOnFrom(new Map(live.filter(([, depth]) => depth > 0)));
  }

  batch(state: PartitionState, node: string, batch: Batch, reply: BatchReply): void {
    if (reply.status !== 'applied' || this.seen.has(reply.answers)) return;
    this.seen.add(reply.answers);
    this.state = state;
    const { ops, incarnation } = batch;
    for (let i = 0; i < ops.length; i++) {
      const answer = reply.answers[i];
      if (answer?.ok === true) this.log.step({ node, incarnation }, ops[i] as SessionOp, answer);
    }
    this.newLetters(state, node, incarnation);
  }

  private newLetters(state: PartitionState, node: string, incarnation: number): void {
    while (this.letters < state.letter) {
      const letter = state.letters.get(String(++this.letters));
      if (letter === undefined) continue;
      const { entity, reason, message, diedAtMs } = letter;
      this.died.set(letter.id, diedAtMs);
      const { id, seq, attempt } = message;
      this.history.add({ kind: 'letter', node, incarnation, letter: letter.id, entity, id, seq, attempt, reason });
    }
  }

  /** A node has closed the store. */
  closed(): void {
    if (!this.isClosed) this.history.add({ kind: 'fault', node: 'store', incarnation: 0, fault: 'storeClosed', phase: 'once' });
    this.isClosed = true;
  }

  control(state: PartitionState, node: string, op: ControlOp, answer: ControlAnswer, storeNowMs: number): void {
    if (!answer.ok) return;
    if (op.op === 'lead') {
      const { epoch } = answer as { epoch: number };
      const group = state.members.get(op.incarnation)?.group ?? '';
      const term = this.terms.get(group);
      this.terms.set(group, { epoch, untilMs: (answer as { untilMs: number }).untilMs });
      const isRenewal = term?.epoch === epoch;
      if (isRenewal && term.untilMs > storeNowMs) return;
      this.history.add({ kind: 'epoch', node, incarnation: op.incarnation, group, epoch, what: isRenewal ? 'again' : 'lead' });
    } else if (op.op === 'closeStore') {
      if (state.generation === CLOSED) this.closed();
      else this.isClosed = false;
    } else if (op.op === 'evict') this.history.add({ kind: 'evict', node, incarnation: 0, evicted: op.incarnation });
    else if (op.op === 'purge') {
      const ageMs = storeNowMs - (this.died.get(op.letter) ?? storeNowMs);
      this.died.delete(op.letter);
      this.history.add({ kind: 'drop', node, incarnation: 0, letter: op.letter, left: state.letters.size, ageMs });
    } else if (op.op === 'replay') {
      const { seq, id } = answer as { seq: number; id: string };
      const letter = state.letters.get(op.letter);
      if (letter === undefined) return;
      this.state = state;
      const { name, payload } = letter.message;
      const message = { id, name, payload, given: false, replayOf: letter.id, isForced: op.force };
      this.log.appended({ node, incarnation: 0 }, letter.entity, message, seq);
    }
  }
}
