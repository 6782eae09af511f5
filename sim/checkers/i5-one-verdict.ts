import type { Appended, Fail, HistoryEvent, Ok, Transition, Unknown } from '../history.js';
import { type Findings, isTerminal, type View } from './view.js';

/** I5: the outcome that a caller gets never contradicts the log. */
export function oneVerdict(view: View, findings: Findings): void {
  if (view.lossIndex < Number.POSITIVE_INFINITY) return;
  const appends = new Map<string, Appended[]>();
  const ends = new Map<string, Transition>();
  const replays = new Map<string, Appended[]>();
  for (const entity of view.entities.values()) {
    for (const append of entity.appends) {
      if (append.replayOf !== '') {
        const key = `${append.entity} ${append.id}`;
        replays.set(key, [...(replays.get(key) ?? []), append]);
        continue;
      }
      const list = appends.get(append.call);
      if (list === undefined) appends.set(append.call, [append]);
      else list.push(append);
    }
    for (const t of entity.transitions)
      if (isTerminal(t.to) && !ends.has(`${t.entity} ${t.seq}`)) ends.set(`${t.entity} ${t.seq}`, t);
  }
  for (const [call, list] of appends) {
    // A call that a handler makes (its name has a dot) belongs to one attempt, and each attempt makes it again.
    const second = list[1];
    if (second !== undefined && !call.includes('.'))
      findings.violated('I5', `call ${call} is in the log ${list.length} times`, second.index);
  }
  for (const { entity, transitions } of view.entities.values()) {
    let running = 0;
    for (const { seq, to, index } of transitions) {
      if (to === 'withdrawn' && running === seq) findings.violated('I5', `${entity} #${seq} was withdrawn while it ran`, index);
      if (to === 'dispatched') running = seq;
      else if (running === seq) running = 0;
    }
  }
  const callers = new Map<string, number>();
  for (const { call, node } of view.invokes) callers.set(`${call} ${node}`, (callers.get(`${call} ${node}`) ?? 0) + 1);
  const told = new Told(appends, replays, ends, callers, findings);
  for (const event of view.events) told.check(event);
}

class Told {
  private readonly unknown = new Set<string>();
  /** Index of the latest invocation, by call. */
  private readonly invoked = new Map<string, number>();

  constructor(
    private readonly appends: ReadonlyMap<string, readonly Appended[]>,
    /** Appends of replays, by 'entity id'. */
    private readonly replays: ReadonlyMap<string, readonly Appended[]>,
    private readonly ends: ReadonlyMap<string, Transition>,
    /** How often each call was made on each node, by 'call node'. */
    private readonly callers: ReadonlyMap<string, number>,
    private readonly findings: Findings,
  ) {}

  check(event: HistoryEvent): void {
    if (event.kind === 'invoke') this.invoked.set(event.call, event.index);
    else if (event.kind === 'ok') this.ok(event);
    else if (event.kind === 'fail') this.fail(event);
    else if (event.kind === 'unknown') this.left(event);
  }

  /**
   * Returns the ends that the caller may get at that index: the end of the message, and the ends of its replays under the same
   * id. A call that was invoked after a replay was logged asks for the end of the newest replay only.
   */
  private endsOf(call: string, index: number): readonly Transition[] {
    const append = this.appends.get(call)?.[0];
    if (append === undefined) return [];
    const replays = (this.replays.get(`${append.entity} ${append.id}`) ?? []).filter((replay) => replay.index < index);
    const newest = replays.at(-1);
    const isAskedOfReplay = newest !== undefined && newest.index < (this.invoked.get(call) ?? 0);
    const asked = isAskedOfReplay ? [newest] : [append, ...replays];
    return asked.flatMap(({ entity, seq }) => this.ends.get(`${entity} ${seq}`) ?? []);
  }

  /** Returns whether the refused caller itself logged the message. Another caller may have sent the same id from another node. */
  private isOwn({ call, node }: Fail, append: Appended): boolean {
    return append.node === node && this.callers.get(`${call} ${node}`) === 1;
  }

  private ok(event: Ok): void {
    const { call, result, index } = event;
    if (result === undefined) return;
    const ends = this.endsOf(call, index);
    const completed = ends.filter((end) => end.to === 'completed' && end.index <= index);
    if (completed.some((end) => end.result === result)) return;
    const [first] = completed;
    const said = first === undefined ? 'success' : result;
    const says = first === undefined ? (ends[0]?.to ?? 'nothing') : (first.result ?? '');
    this.findings.violated('I5', `call ${call} was told ${said}, the log says ${says}`, index);
  }

  private left({ call }: Unknown): void {
    this.unknown.add(call);
  }

  private fail(event: Fail): void {
    const { call, code, definite, index } = event;
    const ends = this.endsOf(call, index);
    const [end] = ends;
    const says = end?.to ?? 'nothing';
    if (code === 'INTERRUPTED' && !ends.some(({ to }) => to === 'interrupted'))
      this.findings.violated('I5', `call ${call} was told it was interrupted, the log says ${says}`, index);
    if (code === 'HANDLER_FAILED' && !ends.some(({ to }) => to === 'failed'))
      this.findings.violated('I5', `call ${call} was told it failed, the log says ${says}`, index);
    if (!definite) return;
    const append = this.appends.get(call)?.[0];
    const isOthers = append !== undefined && !this.isOwn(event, append);
    // A definite timeout means that the message was withdrawn in the log, or never left its process. In the second case only
    // another call with the same id can be in the log.
    const neverLeft = code === 'REPLY_TIMEOUT' && (append === undefined || isOthers || this.unknown.has(call));
    if (code === 'REPLY_TIMEOUT' || code === 'WITHDRAWN') {
      if (end?.to !== 'withdrawn' && !neverLeft)
        this.findings.violated('I5', `call ${call} was told it was withdrawn, the log says ${says}`, index);
      return;
    }
    // A caller that sent again with its own id after an unknown outcome may be refused although its message is in the log.
    if (append !== undefined && !isOthers && !this.unknown.has(call))
      this.findings.violated('I5', `call ${call} was told it was not accepted (${code}), and is in the log`, append.index);
  }
}
