/** What a campaign has shown, in numbers. */
import type { Facts, Verdict } from './facts.js';

export interface Summary {
  /** Of processes, with those that run beside the last one to be drawn. */
  readonly kills: number;
  /** Accepted by the log: what callers sent, and what handlers sent. */
  readonly messages: number;
  readonly completed: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly withdrawn: number;
  /** Calls whose callers were told nothing certain, or nothing at all. */
  readonly unknown: number;
  readonly starts: number;
  /** Handlers that a kill caught in the middle. */
  readonly killedRunning: number;
  /** Calls with an id that an earlier call had used. */
  readonly resent: number;
  /** Attempts that followed on an interrupted one. */
  readonly retriedInterruptions: number;
  /** Handlers that ended after their process had stood still past its lease: the checkers excuse what became of them. */
  readonly excused: number;
}

export function summaryOf(facts: Facts): Summary {
  const verdicts = new Map<Verdict, number>();
  let [unknown, starts, killedRunning, resent, retriedInterruptions, excused] = [0, 0, 0, 0, 0, 0];
  for (const message of facts.messages.values()) {
    const verdict = facts.verdictOf(message);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    unknown += message.calls.filter(({ told }) => told === undefined || (told.verdict === 'error' && !told.definite)).length;
    resent += Math.max(0, message.calls.length - 1);
    starts += message.runs.length;
    const cut = message.runs.filter(({ end }) => end === undefined);
    killedRunning += cut.length;
    excused += message.runs.filter((run) => run.end !== undefined && facts.lostUs(run) < run.end.atUs).length;
    retriedInterruptions += cut.filter((run) => run !== message.runs.at(-1)).length;
  }
  const count = (verdict: Verdict): number => verdicts.get(verdict) ?? 0;
  return {
    kills: facts.kills,
    messages: facts.messages.size - count('none'),
    completed: count('completed'),
    failed: count('failed'),
    interrupted: count('interrupted'),
    withdrawn: count('withdrawn'),
    unknown,
    starts,
    killedRunning,
    resent,
    retriedInterruptions,
    excused,
  };
}
