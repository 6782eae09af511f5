/** Reads from each applied step what it did to the log, and records it. */
import type { ControlAnswer, ControlOp } from '../src/core/log/control-operations.js';
import type {
  Answer,
  AnswerOf,
  AppendOp,
  Batch,
  BatchReply,
  Begun,
  FinishOp,
  SessionOp,
  TakeoverOp,
} from '../src/core/log/operations.js';
import { liveCount, type PartitionState } from '../src/core/log/state.js';
import type { History } from './history.js';

/** The caller's name of a message, which the workload puts first into every payload. */
export function callOf(payload: string): string {
  const match = /^\{"c":"([^"]*)"/.exec(payload);
  return match?.[1] ?? '';
}

export class Observer {
  private readonly seen = new WeakSet<readonly Answer[]>();
  private letters = 0;
  /** Last epoch by group: a renewal is no news. */
  private readonly epochs = new Map<string, number>();
  /** Ids by entity and sequence, since `begin` and `finish` name messages by sequence. */
  private readonly ids = new Map<string, string>();

  constructor(private readonly history: History) {}

  /** The store starts anew or from an older state. */
  restarted(state: PartitionState): void {
    this.letters = state.letter;
  }

  batch(state: PartitionState, host: string, batch: Batch, reply: BatchReply): void {
    if (reply.status !== 'applied' || this.seen.has(reply.answers)) return;
    this.seen.add(reply.answers);
    const { ops, incarnation } = batch;
    for (let i = 0; i < ops.length; i++) {
      const answer = reply.answers[i];
      if (answer?.ok === true) this.step(state, host, incarnation, ops[i] as SessionOp, answer);
    }
    this.newLetters(state, host, incarnation);
  }

  private step(state: PartitionState, node: string, incarnation: number, op: SessionOp, answer: Answer): void {
    switch (op.op) {
      case 'append':
        this.append(state, node, incarnation, op, answer as AnswerOf['append'] & { ok: true });
        return;
      case 'begin':
        this.began(node, incarnation, op.entity, op.fence, answer as unknown as Begun);
        return;
      case 'finish':
        this.finish(state, node, incarnation, op, answer as AnswerOf['finish'] & { ok: true });
        return;
      case 'retry':
        this.moved(node, incarnation, op.entity, op.seq, op.attempt, 'dispatched', 'enqueued', op.fence);
        return;
      case 'withdraw':
        this.moved(node, incarnation, op.entity, op.seq, 0, 'enqueued', 'withdrawn', 0);
        return;
      case 'takeover':
        this.takeover(node, incarnation, op, answer as AnswerOf['takeover'] & { ok: true });
        return;
      case 'claim': {
        const { fence } = answer as AnswerOf['claim'] & { ok: true };
        this.history.add({ kind: 'own', node, incarnation, entity: op.entity, owner: incarnation, fence, how: 'claim' });
        return;
      }
      case 'release':
        this.history.add({ kind: 'own', node, incarnation, entity: op.entity, owner: 0, fence: op.fence, how: 'release' });
    }
  }

  private append(
    state: PartitionState,
    node: string,
    incarnation: number,
    op: AppendOp,
    answer: AnswerOf['append'] & { ok: true },
  ): void {
    if (answer.known !== undefined) return;
    const { entity, message } = op;
    this.appended(state, node, incarnation, entity, message, answer.seq, answer.depth);
    if (!answer.begun) return;
    const fence = state.entities.get(entity)?.fence ?? 0;
    this.moved(node, incarnation, entity, answer.seq, 1, 'enqueued', 'dispatched', fence);
  }

  private appended(
    state: PartitionState,
    node: string,
    incarnation: number,
    entity: string,
    message: { id: string; payload: string; given: boolean; replayOf: string },
    seq: number,
    depth: number,
  ): void {
    const { id, given, replayOf } = message;
    this.ids.set(`${entity} ${seq}`, id);
    const { depth: total, active, workersMax } = state;
    const call = callOf(message.payload);
    this.history.add({
      ...{ kind: 'append', node, incarnation, entity, id, seq, call, given, replayOf },
      ...{ depth, total, active, workersMax },
    });
  }

  private began(node: string, incarnation: number, entity: string, fence: number, begun: Begun): void {
    this.moved(node, incarnation, entity, begun.seq, begun.attempt, 'enqueued', 'dispatched', fence);
  }

  private finish(
    state: PartitionState,
    node: string,
    incarnation: number,
    op: FinishOp,
    answer: AnswerOf['finish'] & { ok: true },
  ): void {
    const { entity, seq, attempt, fence, outcome } = op;
    this.history.add({
      ...{ kind: 'transition', node, incarnation, entity, id: this.idOf(entity, seq), seq, attempt },
      ...{ from: 'dispatched', to: outcome.state, fence, result: outcome.result, sends: op.sends.map((s) => s.message.id) },
    });
    op.sends.forEach((send, i) => {
      const rec = state.entities.get(send.entity);
      const depth = rec === undefined ? 0 : liveCount(rec);
      this.appended(state, node, incarnation, send.entity, send.message, answer.sent[i]?.seq ?? 0, depth);
    });
    if (answer.next !== undefined) this.began(node, incarnation, entity, fence, answer.next);
  }

  private takeover(node: string, incarnation: number, op: TakeoverOp, answer: AnswerOf['takeover'] & { ok: true }): void {
    const { entity } = op;
    if (answer.interrupted !== undefined) {
      const { seq, requeued } = answer.interrupted;
      this.moved(node, incarnation, entity, seq, 0, 'dispatched', requeued ? 'enqueued' : 'interrupted', 0);
    }
    this.history.add({ kind: 'own', node, incarnation, entity, owner: 0, fence: 0, how: 'takeover' });
  }

  private moved(
    node: string,
    incarnation: number,
    entity: string,
    seq: number,
    attempt: number,
    from: 'enqueued' | 'dispatched',
    to: 'enqueued' | 'dispatched' | 'withdrawn' | 'interrupted',
    fence: number,
  ): void {
    const id = this.idOf(entity, seq);
    this.history.add({ kind: 'transition', node, incarnation, entity, id, seq, attempt, from, to, fence });
  }

  private idOf(entity: string, seq: number): string {
    return this.ids.get(`${entity} ${seq}`) ?? '';
  }

  private newLetters(state: PartitionState, node: string, incarnation: number): void {
    while (this.letters < state.letter) {
      const letter = state.letters.get(String(++this.letters));
      if (letter === undefined) continue;
      const { entity, reason, message } = letter;
      const { id, seq, attempt } = message;
      this.history.add({ kind: 'letter', node, incarnation, letter: letter.id, entity, id, seq, attempt, reason });
    }
  }

  control(state: PartitionState, node: string, op: ControlOp, answer: ControlAnswer): void {
    if (!answer.ok) return;
    if (op.op === 'lead') {
      const { epoch } = answer as { epoch: number };
      const group = state.members.get(op.incarnation)?.group ?? '';
      if (this.epochs.get(group) === epoch) return;
      this.epochs.set(group, epoch);
      this.history.add({ kind: 'epoch', node, incarnation: op.incarnation, group, epoch, what: 'lead' });
    } else if (op.op === 'bury') this.history.add({ kind: 'bury', node, incarnation: 0, buried: op.incarnation });
    else if (op.op === 'replay') {
      const { seq, id } = answer as { seq: number; id: string };
      const letter = state.letters.get(op.letter);
      if (letter === undefined) return;
      const rec = state.entities.get(letter.entity);
      const depth = rec === undefined ? 0 : liveCount(rec);
      const message = { id, payload: letter.message.payload, given: false, replayOf: letter.id };
      this.appended(state, node, 0, letter.entity, message, seq, depth);
    }
  }
}
