/** What the handlers' own store shows, held against what they and the log say. */
import type { Facts, HandlerRun, Message } from './facts.js';
import type { Violation } from './history.js';
import type { Effect } from './ledger.js';

const shown = ({ ref, seq, attempt, run, fence }: Effect): string =>
  `the effect of ${ref} seq ${seq} attempt ${attempt} (run ${run}, fence ${fence})`;

const isOf = (effect: Effect, { run, seq, attempt, fence }: HandlerRun): boolean =>
  effect.run === run && effect.seq === seq && effect.attempt === attempt && effect.fence === fence;

export function checkEffects(facts: Facts): Violation[] {
  const found: Violation[] = [];
  const lastOf = new Map<string, Effect>();
  for (const effect of facts.history.final.effects) {
    const { entity, ref } = effect;
    const report = (invariant: Violation['invariant'], what: string): void => void found.push({ invariant, entity, what });
    const before = lastOf.get(entity);
    lastOf.set(entity, effect);
    if (before !== undefined) checkNext(before, effect, report);
    const runs = facts.messages.get(ref)?.runs ?? [];
    if (!runs.some((run) => isOf(effect, run))) report('I1', `${shown(effect)} is there, and no such handler was started`);
  }
  for (const message of facts.messages.values()) checkMessage(facts, message, found);
  return found;
}

/** I2f, and I1 and I3 as the store saw them. */
function checkNext(before: Effect, after: Effect, report: (invariant: Violation['invariant'], what: string) => void): void {
  if (after.fence < before.fence) report('I2f', `${shown(after)} landed after ${shown(before)}`);
  if (after.seq === before.seq && after.attempt === before.attempt) report('I1', `${shown(after)} is there twice`);
  else if (after.seq < before.seq || (after.seq === before.seq && after.attempt < before.attempt))
    report('I3', `${shown(after)} landed after ${shown(before)}`);
}

/** I4: what completed has had its effect. I2: only who was lost meanwhile may be refused by the fence. */
function checkMessage(facts: Facts, message: Message, found: Violation[]): void {
  const { entity, ref, runs } = message;
  const last = runs.at(-1);
  const has = (run: HandlerRun): boolean => facts.effectsOf(ref).some((effect) => isOf(effect, run));
  if (facts.verdictOf(message) === 'completed' && last !== undefined && !has(last))
    found.push({ invariant: 'I4', entity, what: `${ref} is completed, and its effect is not there` });
  for (const run of runs) {
    if (run.end?.how !== 'fenced') continue;
    if (has(run)) found.push({ invariant: 'I2f', entity, what: `${ref} was refused by the fence, and its effect is there` });
    if (facts.lostUs(run) === Number.POSITIVE_INFINITY)
      found.push({ invariant: 'I2', entity, what: `${ref} was refused by the fence, and its process (run ${run.run}) was well` });
  }
}
