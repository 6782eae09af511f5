import type { Invoke, Transition } from '../history.js';
import { type EntityView, type Findings, isTerminal, lateStartExcuseOf, type View } from './view.js';

/**
 * I3: the log appends the calls of one process for one entity in call order. Messages of one entity begin in log order, one at a
 * time, and their handlers start in that order.
 */
export function fifo(view: View, findings: Findings): void {
  const calls = callsOnce(view);
  for (const entity of view.entities.values()) {
    checkCalls(view, calls, entity, findings);
    checkBegins(view, entity, findings);
    checkStarts(view, entity, findings);
  }
}

/** Returns the calls that were made once. A caller that sends again under its own id does so in no defined order. */
function callsOnce({ invokes }: View): ReadonlyMap<string, Invoke> {
  const calls = new Map<string, Invoke | undefined>();
  for (const invoke of invokes) calls.set(invoke.call, calls.has(invoke.call) ? undefined : invoke);
  return new Map([...calls].flatMap(([call, invoke]) => (invoke === undefined ? [] : [[call, invoke]])));
}

function checkCalls(view: View, calls: ReadonlyMap<string, Invoke>, { entity, appends }: EntityView, findings: Findings): void {
  const last = new Map<string, Invoke>();
  for (const { call, node, incarnation, replayOf, index } of appends) {
    if (index > view.lossIndex) return;
    const invoke = replayOf === '' ? calls.get(call) : undefined;
    if (invoke === undefined) continue;
    const from = `${node} ${incarnation}`;
    const before = last.get(from);
    if (before !== undefined && before.index > invoke.index)
      findings.violated('I3', `${entity}: the log took call ${call} of ${node} after the later call ${before.call}`, index);
    last.set(from, invoke);
  }
}

function checkBegins(view: View, entity: EntityView, findings: Findings): void {
  const live = new Set<number>();
  let running = 0;
  const steps = [...entity.appends, ...entity.transitions].sort((a, b) => a.index - b.index);
  for (const step of steps) {
    if (step.index > view.lossIndex) return;
    if (step.kind === 'append') {
      live.add(step.seq);
      continue;
    }
    running = begun(entity.entity, step, live, running, findings);
    if (isTerminal(step.to)) live.delete(step.seq);
  }
}

/** Returns the sequence of the message that runs after the step; 0 for none. */
function begun(entity: string, step: Transition, live: ReadonlySet<number>, running: number, findings: Findings): number {
  const { seq, to, from, index } = step;
  if (to !== 'dispatched') return from === 'dispatched' && running === seq ? 0 : running;
  if (running !== 0) findings.violated('I3', `${entity}: #${seq} began while #${running} had not ended`, index);
  for (const other of live)
    if (other < seq) {
      findings.violated('I3', `${entity}: #${seq} began before #${other}`, index);
      break;
    }
  return seq;
}

function checkStarts(view: View, entity: EntityView, findings: Findings): void {
  let highest = 0;
  for (const handling of entity.handlings) {
    const { seq, index, node } = handling.start;
    if (index > view.lossIndex) return;
    if (seq >= highest) {
      highest = seq;
      continue;
    }
    const excuse = lateStartExcuseOf(view, handling);
    if (excuse === undefined) findings.violated('I3', `${entity.entity}: #${seq} started on ${node} after #${highest}`, index);
    else findings.excuse('I3', excuse);
  }
}
