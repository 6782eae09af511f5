import type { HistoryEvent, LetterMade, Shown, ShownLetter } from '../history.js';
import { typeOf } from '../job.js';
import { type Findings, isTerminal, type View } from './view.js';

/** I4 for operators: what an operator sees of the log matches the history; no dead letter is missing, extra or different. */
export function shownLog(view: View, findings: Findings): void {
  const log = new ExpectedLog();
  for (const event of view.events) {
    if (event.index > view.lossIndex) return;
    if (event.kind === 'shown') log.judge(event, (what) => findings.violated('I4', `an operator was shown ${what}`, event.index));
    else log.take(event);
  }
}

interface Queue {
  /** Sequence of the running message, 0 for none. */
  running: number;
  pending: number;
}

/** The expected state of the log after the events of the history so far. */
class ExpectedLog {
  private readonly queues = new Map<string, Queue>();
  private readonly letters = new Map<string, LetterMade>();
  private readonly replayed = new Set<string>();
  private readonly completed = new Set<string>();
  private made = 0;

  take(event: HistoryEvent): void {
    if (event.kind === 'append') {
      this.queue(event.entity).pending++;
      if (event.replayOf !== '') this.replayed.add(event.replayOf);
    } else if (event.kind === 'transition') {
      const queue = this.queue(event.entity);
      if (event.from === 'enqueued') queue.pending--;
      else queue.running = 0;
      if (event.to === 'enqueued') queue.pending++;
      if (event.to === 'dispatched') queue.running = event.seq;
      if (isTerminal(event.to) && queue.pending === 0 && queue.running === 0) this.queues.delete(event.entity);
    } else if (event.kind === 'letter') {
      this.letters.set(event.letter, event);
      this.made++;
    } else if (event.kind === 'drop') this.letters.delete(event.letter);
    else if (event.kind === 'late' && event.outcome === 'completed')
      this.completed.add(`${event.entity} ${event.seq} ${event.attempt}`);
  }

  private queue(entity: string): Queue {
    const known = this.queues.get(entity);
    if (known !== undefined) return known;
    const queue = { running: 0, pending: 0 };
    this.queues.set(entity, queue);
    return queue;
  }

  judge(shown: Shown, wrong: (what: string) => void): void {
    this.judgeCounts(shown, wrong);
    this.judgeQueues(shown, wrong);
    this.judgeLetters(shown.letters, wrong);
    for (const { filter, ids } of shown.lists) {
      const due = shown.letters.filter((letter) => fits(letter, filter)).map(({ id }) => id);
      if (due.join() !== ids.join())
        wrong(`the letters ${ids.join() || '-'} for ${JSON.stringify(filter)}: ${due.join() || '-'}`);
    }
    if (shown.first !== shown.letters[0]?.id) wrong(`${shown.first} as the letter ${shown.letters[0]?.id}`);
    if (shown.surplus !== undefined) wrong(`letter ${shown.surplus} under a number that no letter has`);
  }

  private judgeCounts({ counts, letters }: Shown, wrong: (what: string) => void): void {
    const open = letters.filter(({ isReplayed }) => !isReplayed);
    const held = open.filter(({ entity, sequence, attempts }) => this.completed.has(`${entity} ${sequence} ${attempts}`));
    const due: Shown['counts'] = {
      depth: [...this.queues.values()].reduce((sum, queue) => sum + depthOf(queue), 0),
      active: this.queues.size,
      letters: this.letters.size,
      lastLetter: this.made,
      replayable: open.length - held.length,
      needForce: held.length,
    };
    if (JSON.stringify(due) !== JSON.stringify(counts)) wrong(`the counts ${JSON.stringify(counts)}: ${JSON.stringify(due)}`);
  }

  private judgeQueues({ types, entities }: Shown, wrong: (what: string) => void): void {
    const due = new Map<string, { running: number; pending: number }>();
    for (const [entity, { running, pending }] of this.queues) {
      const sum = due.get(typeOf(entity)) ?? { running: 0, pending: 0 };
      due.set(typeOf(entity), sum);
      if (running > 0) sum.running++;
      sum.pending += pending;
    }
    for (const type of new Set([...due.keys(), ...Object.keys(types)])) {
      const { running = 0, pending = 0 } = types[type] ?? {};
      const { running: dueRunning = 0, pending: duePending = 0 } = due.get(type) ?? {};
      if (running !== dueRunning || pending !== duePending)
        wrong(`${running} running and ${pending} pending of ${type}: ${dueRunning} and ${duePending}`);
    }
    for (const { entity, running, pending } of entities) {
      const queue = this.queues.get(entity);
      if (queue?.running !== running || pending.some((count) => count !== queue.pending))
        wrong(`#${running} running and ${pending.join(', ')} pending of ${entity}: #${queue?.running} and ${queue?.pending}`);
    }
  }

  private judgeLetters(letters: readonly ShownLetter[], wrong: (what: string) => void): void {
    const ids = letters.map(({ id }) => id);
    if (ids.join() !== [...this.letters.keys()].join()) wrong(`the letters ${ids.join()}: ${[...this.letters.keys()].join()}`);
    for (const { id, entity, sequence, attempts, reason, isReplayed } of letters) {
      const made = this.letters.get(id);
      const isRight = made?.entity === entity && made.seq === sequence && made.attempt === attempts && made.reason === reason;
      if (!isRight || isReplayed !== this.replayed.has(id)) wrong(`letter ${id} otherwise than it was made or replayed`);
    }
  }
}

const depthOf = ({ running, pending }: Queue): number => pending + (running > 0 ? 1 : 0);

function fits(
  letter: ShownLetter,
  { entityType, entityId, reason, sinceMs, replayed }: Shown['lists'][number]['filter'],
): boolean {
  if (entityType !== undefined && typeOf(letter.entity) !== entityType) return false;
  if (entityId !== undefined && letter.entity !== `${entityType}:${entityId}`) return false;
  if (reason !== undefined && letter.reason !== reason) return false;
  if (sinceMs !== undefined && letter.diedAtMs < sinceMs) return false;
  return replayed === undefined || letter.isReplayed === replayed;
}
