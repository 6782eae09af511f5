/** Canaries that switch off guards of the store protocol, one each. */
import { HighWater } from '../../src/core/high-water.js';
import type { ControlOp, JoinOp, LeadAnswer } from '../../src/core/log/control-operations.js';
import {
  type AnswerOf,
  type AppendOp,
  type MessageRecord,
  type RetryOp,
  refuse,
  type TakeoverOp,
  type WithdrawOp,
} from '../../src/core/log/operations.js';
import { letterKey, type PartitionState } from '../../src/core/log/state.js';
import { MACHINE, type Machine } from '../machine.js';
import { type Canary, isOk, replaceMethod, withAnswers, withCalls, withSteps } from './canary.js';

function unknownIsEvicted(): Machine {
  return withCalls({
    batch: (state, batch, nowMs) => {
      const reply = MACHINE.applyBatch(state, batch, nowMs);
      return reply.status === 'unknown' ? { status: 'fenced' } : reply;
    },
    control: (state, op, nowMs) => {
      // As before tokens existed: the store accepts any caller that names the number of a member, and refuses other numbers only.
      const member = 'incarnation' in op ? state.members.get(op.incarnation) : undefined;
      const former = op.op === 'join' ? { ...op, former: undefined } : op;
      const trusted = 'token' in op && op.op !== 'join' ? { ...op, token: member?.token ?? op.token, acknowledged: 0 } : former;
      const answer = MACHINE.applyControl(state, trusted as ControlOp, nowMs);
      return !answer.ok && answer.code === 'UNKNOWN' ? refuse('FENCED') : answer;
    },
  });
}

/** Returns a store as it was before it kept the last heartbeat and batch of ended incarnations. */
function endedIsForgotten(): Machine {
  return withCalls({
    batch: (state, batch, nowMs) => {
      const reply = MACHINE.applyBatch(state, batch, nowMs);
      return reply.status === 'fenced' ? { status: 'fenced' } : reply;
    },
    control: (state, op, nowMs) => {
      const isLive = 'incarnation' in op && state.members.get(op.incarnation)?.dead === false;
      if (op.op === 'heartbeat' && !isLive) return MACHINE.applyControl(state, { ...op, acknowledged: 0 }, nowMs);
      if (op.op === 'leave') return MACHINE.applyControl(state, { ...op, lastHeartbeat: 0, lastBatch: 0 }, nowMs);
      if (op.op !== 'join' || op.former === undefined) return MACHINE.applyControl(state, op, nowMs);
      return MACHINE.applyControl(state, { ...op, former: { ...op.former, lastHeartbeat: 0, lastBatch: 0 } }, nowMs);
    },
  });
}

const headOf = (state: PartitionState, entity: string): MessageRecord | undefined => state.entities.get(entity)?.pending.peek();

export const STORE_CANARIES: readonly Canary[] = [
  {
    name: 'interrupt-uncounted',
    does: 'an interruption does not count as an attempt',
    expected: ['I1'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const answer = apply(op);
        if (op.op !== 'takeover' || !isOk('takeover', answer) || answer.interrupted?.requeued !== true) return answer;
        const rec = state.entities.get(op.entity);
        const head = rec?.pending.shift();
        if (head !== undefined) rec?.pending.unshift({ ...head, attempt: head.attempt - 1 });
        return answer;
      }),
  },
  {
    name: 'no-takeover-hold',
    does: 'the next owner begins at once what a dead one may still run',
    expected: ['I2'],
    machine: () =>
      withCalls({
        control: (state, op, nowMs) => MACHINE.applyControl(state, op.op === 'join' ? withoutHold(op) : op, nowMs),
      }),
  },
  {
    name: 'unknown-counts-as-evicted',
    does: 'the store says "evicted" of an incarnation that it never gave, and no node compares the counters of the store',
    expected: ['I4'],
    machine: unknownIsEvicted,
    install: () => replaceMethod(HighWater, 'take', () => () => undefined),
  },
  {
    name: 'ended-is-forgotten',
    does: 'the store keeps nothing of what an incarnation had sent when it evicted it',
    expected: ['I4'],
    // A seed meets the case only if no other node has anything acknowledged in the lost tail.
    scenario: 'evicted-by-what-is-left',
    machine: endedIsForgotten,
  },
  {
    name: 'epoch-by-renewal',
    does: 'a renewal writes the epoch of its group over the counter of all groups',
    // Nodes compare the counter, find that the store went back, and close.
    expected: ['I6', 'L1'],
    machine: () =>
      withCalls({
        control: (state, op, nowMs) => {
          const answer = MACHINE.applyControl(state, op, nowMs);
          if (op.op === 'lead' && answer.ok) state.epoch = (answer as LeadAnswer).epoch;
          return answer;
        },
      }),
  },
  {
    name: 'hold-in-memory',
    does: 'only the node that took over knows of the hold',
    expected: ['I2'],
    machine: holdInMemory,
  },
  {
    name: 'fence-restarts',
    does: 'the fence starts anew with each record of an entity',
    expected: ['I2f'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        if (op.op !== 'claim') return apply(op);
        const before = state.entities.get(op.entity);
        const owner = before?.owner ?? 0;
        const answer = apply(op);
        const rec = state.entities.get(op.entity);
        if (!isOk('claim', answer) || rec === undefined || owner !== 0) return answer;
        rec.fence =
          before === undefined || before.fence === 0 ? 1 : before.fence + 1 - (rec === before ? rec.fence - before.fence : 0);
        return { ...answer, fence: rec.fence };
      }),
  },
  {
    name: 'begin-beside-running',
    does: 'an append begins at once though something runs',
    expected: ['I3'],
    machine: () =>
      withSteps((state, me, op, _now, apply) => {
        const answer = apply(op);
        const rec = op.op === 'append' ? state.entities.get(op.entity) : undefined;
        if (!isOk('append', answer) || rec === undefined || rec.owner !== me || rec.running === undefined) return answer;
        if (answer.begun || answer.known !== undefined) return answer;
        rec.pending.unshift(rec.running);
        rec.running = rec.pending.take(answer.seq);
        return { ...answer, begun: true };
      }),
  },
  {
    name: 'skip-head',
    does: 'the second message begins before the head',
    expected: ['I3'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const rec = op.op === 'begin' ? state.entities.get(op.entity) : undefined;
        if (rec !== undefined && rec.pending.length > 1 && rec.running === undefined) {
          const head = rec.pending.shift() as MessageRecord;
          const second = rec.pending.shift() as MessageRecord;
          rec.pending.unshift(head);
          rec.pending.unshift(second);
        }
        return apply(op);
      }),
  },
  {
    name: 'retry-at-tail',
    does: 'a retry waits behind the other messages',
    expected: ['I3'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const answer = apply(op);
        if (op.op === 'retry' && answer.ok) toTail(state, op);
        return answer;
      }),
  },
  {
    name: 'drop-interrupted',
    does: 'what was interrupted leaves no dead letter',
    expected: ['I4'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const answer = apply(op);
        if (op.op === 'takeover' && isOk('takeover', answer) && answer.interrupted?.requeued === false) dropLetter(state, op);
        return answer;
      }),
  },
  {
    name: 'late-copies-apply',
    does: 'no session check: every copy of a batch applies',
    expected: ['I5'],
    machine: lateCopiesApply,
  },
  {
    name: 'withdraw-running',
    does: 'a message that runs can be withdrawn',
    expected: ['I5'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const answer = apply(op);
        return op.op === 'withdraw' && !answer.ok && answer.code === 'RUNNING' ? withdrawRunning(state, op) : answer;
      }),
  },
  {
    name: 'depth-leak',
    does: 'a failed message still counts in the depth',
    expected: ['I7'],
    machine: () =>
      withSteps((state, _me, op, _now, apply) => {
        const answer = apply(op);
        if (op.op === 'finish' && answer.ok && op.outcome.state === 'failed') state.depth++;
        return answer;
      }),
  },
  {
    name: 'limit-unchecked',
    does: 'no queue has a limit',
    expected: ['I7'],
    machine: () =>
      withSteps((_state, _me, op, _now, apply) => apply(op.op === 'append' ? ({ ...op, depthMax: 0 } satisfies AppendOp) : op)),
  },
  {
    name: 'claim-live-owner',
    does: 'a claim takes the entity from a living owner',
    expected: ['L1'],
    machine: () =>
      withSteps((state, me, op, _now, apply) => {
        const rec = op.op === 'claim' ? state.entities.get(op.entity) : undefined;
        if (rec !== undefined && rec.owner !== 0 && rec.owner !== me && state.members.get(rec.owner)?.dead === false) {
          const member = state.members.get(rec.owner);
          if (member !== undefined) member.owns--;
          rec.owner = 0;
        }
        return apply(op);
      }),
  },
  {
    name: 'limit-too-low',
    does: 'an append is refused one message below the limit of its entity',
    expected: ['L5'],
    machine: () =>
      withSteps((_state, _me, op, _now, apply) => {
        if (op.op === 'append' && op.depthMax > 1) return apply({ ...op, depthMax: op.depthMax - 1 });
        return apply(op);
      }),
  },
  {
    name: 'backoff-ignored',
    does: 'a retry may begin at once',
    expected: ['I7'],
    machine: () => withSteps((_state, _me, op, _now, apply) => apply(op.op === 'retry' ? { ...op, delayMs: 0 } : op)),
  },
  {
    name: 'letter-between-pages',
    does: 'a page of dead letters begins one letter too late',
    expected: ['I4'],
    machine: () =>
      withCalls({
        control: (state, op, nowMs) =>
          MACHINE.applyControl(
            state,
            op.op === 'letters' && op.after !== '' ? { ...op, after: String(+op.after + 1) } : op,
            nowMs,
          ),
      }),
  },
  {
    name: 'running-counts-as-pending',
    does: 'the survey counts a running message among those that wait',
    expected: ['I4'],
    machine: () =>
      withAnswers('survey', ({ types, ...rest }) => ({
        ...rest,
        types: types.map((one) => ({ ...one, pending: one.pending + one.running })),
      })),
  },
  {
    name: 'closes-another-generation',
    does: 'a process that knows a former generation closes the store that is there now',
    expected: ['I4'],
    machine: () =>
      withCalls({
        control: (state, op, nowMs) =>
          MACHINE.applyControl(state, op.op === 'closeStore' ? { ...op, generation: state.generation } : op, nowMs),
      }),
  },
  {
    name: 'first-page-only',
    does: 'a sweep sees the first page of the ready entities only',
    expected: ['L3'],
    machine: () => withAnswers('ready', (answer) => ({ ...answer, next: '' })),
  },
  {
    name: 'term-without-end',
    does: 'a master whose record has lapsed is named again under its old epoch',
    expected: ['I6'],
    machine: termWithoutEnd,
  },
];

const withoutHold = (op: JoinOp): JoinOp => ({ ...op, settings: { ...op.settings, takeoverHoldMs: 0 } });

function holdInMemory(): ReturnType<typeof withSteps> {
  const holds = new Map<string, { by: number; untilMs: number }>();
  return withSteps((state, me, op, nowMs, apply) => {
    const hold = op.op === 'claim' ? holds.get(op.entity) : undefined;
    const rec = 'entity' in op ? state.entities.get(op.entity) : undefined;
    if (hold !== undefined && hold.by === me && rec !== undefined) rec.holdUntilMs = hold.untilMs;
    const answer = apply(op);
    if (op.op === 'takeover' && answer.ok && rec !== undefined) {
      holds.set(op.entity, { by: me, untilMs: rec.holdUntilMs });
      rec.holdUntilMs = 0;
      if (state.ready.has(op.entity)) state.ready.set(op.entity, nowMs);
    }
    return answer;
  });
}

function toTail(state: PartitionState, op: RetryOp): void {
  const rec = state.entities.get(op.entity);
  const head = headOf(state, op.entity);
  if (rec === undefined || head === undefined) return;
  rec.pending.shift();
  rec.pending.push(head);
}

function dropLetter(state: PartitionState, op: TakeoverOp): void {
  const id = String(state.letter);
  const letter = state.letters.get(id);
  if (letter?.entity !== op.entity) return;
  state.letters.delete(id);
  state.letterOf.delete(letterKey(op.entity, letter.message.seq, letter.message.attempt));
}

function lateCopiesApply(): ReturnType<typeof withCalls> {
  return withCalls({
    batch: (state, batch, nowMs) => {
      const session = state.sessions.get(batch.incarnation);
      if (session === undefined || batch.n > session.last) return MACHINE.applyBatch(state, batch, nowMs);
      const { last, answers, answersBefore } = session;
      session.last = batch.n - 1;
      const reply = MACHINE.applyBatch(state, batch, nowMs);
      Object.assign(session, { last, answers, answersBefore });
      return reply;
    },
  });
}

function withdrawRunning(state: PartitionState, op: WithdrawOp): AnswerOf['withdraw'] {
  const rec = state.entities.get(op.entity);
  if (rec?.running === undefined) return { ok: true, owner: 0 };
  rec.running = undefined;
  state.depth--;
  if (rec.pending.length === 0) state.active--;
  return { ok: true, owner: 0 };
}

function termWithoutEnd(): Machine {
  return withCalls({
    control(state, op, nowMs) {
      const before = op.op === 'lead' ? state.leaders.get(state.members.get(op.incarnation)?.group ?? '') : undefined;
      const { incarnation, epoch = 0 } = before ?? {};
      const answer = MACHINE.applyControl(state, op, nowMs);
      if (op.op !== 'lead' || !answer.ok || incarnation !== op.incarnation) return answer;
      const group = state.members.get(op.incarnation)?.group ?? '';
      const leader = state.leaders.get(group);
      if (leader !== undefined) state.leaders.set(group, { ...leader, epoch });
      return { ...answer, epoch };
    },
  });
}
