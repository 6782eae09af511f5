/**
 * A canary switches one named guard off. If the checkers do not report it, they are blind. Canaries replace guards from outside:
 * in the simulated store's machine, on the runtime's classes or in the text of the scripts, never by a flag in shipped code.
 */
import { applyBatch } from '../../src/core/log/apply.js';
import type { ControlAnswer, ControlAnswerOf, ControlOp } from '../../src/core/log/control-operations.js';
import type { Answer, AnswerOf, Batch, BatchReply, SessionOp } from '../../src/core/log/operations.js';
import type { PartitionState } from '../../src/core/log/state.js';
import type { InvariantId } from '../checkers/view.js';
import type { Scripts } from '../lua/lockstep.js';
import { MACHINE, type Machine } from '../machine.js';

export interface Canary {
  readonly name: string;
  /** What the canary breaks, in words, for reports. */
  readonly does: string;
  /** Invariants of which at least one must be violated. */
  readonly expected: readonly InvariantId[];
  /** The scenario that must fail, for cases that random seeds meet too rarely to record them. */
  readonly scenario?: string;
  /** Returns the store machine of one run. */
  machine?(): Machine;
  /** Returns the scripts of a run with the store 'lua', made from the shipped ones. */
  scripts?(shipped: Scripts): Scripts;
  /** Replaces a part of the runtime. Returns a function that undoes the replacement. */
  install?(): () => void;
}

/** Runs in place of one operation of a batch. `apply` applies an operation as the protocol does. */
export type StepHook = (
  state: PartitionState,
  me: number,
  op: SessionOp,
  nowMs: number,
  apply: (op: SessionOp) => Answer,
) => Answer;

/** Returns the protocol with a hook around each operation of a session. */
export function withSteps(hook: StepHook): Machine {
  return {
    ...MACHINE,
    applyBatch(state, batch, nowMs) {
      const session = state.sessions.get(batch.incarnation);
      if (session === undefined || session.last + 1 !== batch.n || state.generation !== batch.generation)
        return applyBatch(state, batch, nowMs);
      const { last, answers: before } = session;
      const one = (op: SessionOp): Answer => {
        session.last = last;
        const reply = applyBatch(state, { ...batch, ops: [op] }, nowMs);
        if (reply.status !== 'applied') throw new Error('a step did not apply');
        return reply.answers[0] as Answer;
      };
      const answers = batch.ops.map((op) => hook(state, batch.incarnation, op, nowMs, one));
      session.last = batch.n;
      session.answers = answers;
      session.answersBefore = before;
      return { status: 'applied', answers };
    },
  };
}

/** Returns the protocol with whole calls replaced. */
export function withCalls(calls: {
  batch?(state: PartitionState, batch: Batch, nowMs: number): BatchReply;
  control?(state: PartitionState, op: ControlOp, nowMs: number): ControlAnswer;
}): Machine {
  return { applyBatch: calls.batch ?? MACHINE.applyBatch, applyControl: calls.control ?? MACHINE.applyControl };
}

/** Returns the protocol with the answers to one control operation replaced. */
export const withAnswers = <O extends ControlOp['op']>(
  name: O,
  replace: (answer: ControlAnswerOf[O], state: PartitionState) => ControlAnswer,
): Machine =>
  withCalls({
    control: (state, op, nowMs) => {
      const answer = MACHINE.applyControl(state, op, nowMs);
      return op.op === name ? replace(answer as ControlAnswerOf[O], state) : answer;
    },
  });

export const isOk = <K extends SessionOp['op']>(_op: K, answer: Answer): answer is AnswerOf[K] & { ok: true } => answer.ok;

type Method = (this: never, ...args: never[]) => unknown;

/**
 * Replaces a method of a class. Returns a function that undoes the replacement. Throws if the class has no such method, since a
 * canary that replaces nothing proves nothing.
 */
export function replaceMethod<T extends object>(
  of: { readonly prototype: T; readonly name: string },
  method: string,
  make: (original: (self: T, ...args: unknown[]) => unknown) => (self: T, ...args: unknown[]) => unknown,
): () => void {
  const { prototype } = of;
  const original = Object.getOwnPropertyDescriptor(prototype, method);
  if (original === undefined || typeof original.value !== 'function')
    throw new Error(`${of.name} has no method ${method}: the canary has nothing to replace`);
  const before = original.value as Method;
  const replacement = make((self, ...args) => Reflect.apply(before, self, args));
  Object.defineProperty(prototype, method, {
    ...original,
    value(this: T, ...args: unknown[]) {
      return replacement(this, ...args);
    },
  });
  return () => Object.defineProperty(prototype, method, original);
}

export const all =
  (...undo: readonly (() => void)[]): (() => void) =>
  () => {
    for (const one of undo) one();
  };

/** Returns the value of a private field of a runtime object. */
export const peek = <T>(self: object, field: string): T => (self as Record<string, unknown>)[field] as T;
/** Sets a private field of a runtime object. */
export const poke = (self: object, field: string, value: unknown): void => void Object.assign(self, { [field]: value });
