/** dlq list | show | replay | purge */
import type { DeadLetter } from '../core/dead-letter.js';
import { linesOf } from '../core/recorded-error.js';
import { DeadLetterBox, type DeadLetterFilter, type RunResult } from '../runtime/dead-letters.js';
import type { Connected } from './connect.js';
import type { Since } from './options.js';
import { CommandError, counted, jsonOf, shortened, type Terminal, timeText, UsageError } from './terminal.js';

export interface FilterOptions {
  readonly type?: string;
  readonly entity?: string;
  readonly reason?: 'failed' | 'interrupted';
  readonly since?: Since;
}

export interface ListOptions extends FilterOptions {
  readonly limit: number;
  readonly after?: string;
  readonly replayed?: boolean;
}

export interface ChooseOptions extends FilterOptions {
  readonly id?: string;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

export interface ReplayCommandOptions extends ChooseOptions {
  readonly force?: boolean;
  readonly rate: number;
}

export interface PurgeCommandOptions extends ChooseOptions {
  readonly yes?: boolean;
}

const ERROR_CHARS_MAX = 60;
const ENTITY_CHARS_MAX = 40;

export function checkFilter({ type, entity }: FilterOptions): void {
  if (entity !== undefined && type === undefined) throw new UsageError('--entity needs --type: an id alone names no entity');
}

/** Requires exactly one of --id, a filter, and --all, so that a missing option never selects all. Throws a UsageError. */
export function checkChoice(options: ChooseOptions): void {
  checkFilter(options);
  const { id, all, type, reason, since } = options;
  const isFiltered = type !== undefined || reason !== undefined || since !== undefined;
  if ([id !== undefined, all === true, isFiltered].filter(Boolean).length !== 1)
    throw new UsageError('say which: --id N, or a filter (--type --entity --reason --since), or --all');
}

async function filterOf({ store }: Connected, { type, entity, reason, since }: FilterOptions): Promise<DeadLetterFilter> {
  const sinceMs = since?.agoMs === undefined ? since?.atMs : (await store.control({ op: 'members' })).nowMs - since.agoMs;
  return { entityType: type, entityId: entity, reason, sinceMs };
}

const boxOf = ({ store, clock }: Connected): DeadLetterBox => new DeadLetterBox(store, clock);

export async function list(connected: Connected, terminal: Terminal, options: ListOptions): Promise<void> {
  const box = boxOf(connected);
  const { limit, after, replayed } = options;
  const [total, filter] = await Promise.all([box.count(), filterOf(connected, options)]);
  const { letters, next } = await box.list({ ...filter, replayed, limit, after });
  terminal.answer({ letters, next: next ?? null, total, shut: connected.isStoreClosed }, () => {
    if (letters.length === 0)
      return total === 0 ? 'no dead letters' : `none that matches, of ${counted(total, 'dead letter')} in all`;
    const more = next === undefined ? '' : `; the next page: --after ${next}`;
    return `${tableOf(letters, terminal)}\n${letters.length} shown of ${total} in all${more}`;
  });
}

const errorText = ({ error }: DeadLetter): string => {
  return shortened(`${error?.name ?? ''}: ${error?.message ?? ''}`, ERROR_CHARS_MAX);
};

const entityText = ({ entityType, entityId }: DeadLetter): string => shortened(`${entityType}:${entityId}`, ENTITY_CHARS_MAX);

function tableOf(letters: readonly DeadLetter[], terminal: Terminal): string {
  const rows = letters.map((letter) => [
    ...[letter.id, timeText(letter.diedAtMs), entityText(letter), letter.name, letter.reason, String(letter.attempts)],
    ...[letter.replayedAs === null ? '' : 'yes', errorText(letter)],
  ]);
  return terminal.table(['ID', 'DIED', 'ENTITY', 'MESSAGE', 'REASON', 'ATTEMPTS', 'REPLAYED', 'ERROR'], rows);
}

export async function show(connected: Connected, terminal: Terminal, id: string): Promise<void> {
  const letter = await boxOf(connected).show(id);
  if (letter === undefined) throw new CommandError(noneOf(id));
  terminal.answer(letter, () => {
    const times = { enqueuedAtMs: timeText(letter.enqueuedAtMs), diedAtMs: timeText(letter.diedAtMs) };
    return Object.entries({ ...letter, ...times })
      .map(
        ([field, value]) =>
          `${terminal.paint('bold', field.replace(/Ms$/, '').padEnd(12))} ${field === 'error' ? stackText(letter) : valueText(value)}`,
      )
      .join('\n');
  });
}

/** Returns the error with its stack. Further lines are indented, so that none looks like another field. */
function stackText({ error }: DeadLetter): string {
  const lines = error === null ? ['-'] : linesOf(error).split('\n');
  return lines.map((line) => shortened(line, Number.POSITIVE_INFINITY)).join('\n  ');
}

function valueText(value: unknown): string {
  if (value === null) return '-';
  return typeof value === 'string' ? shortened(value, Number.POSITIVE_INFINITY) : jsonOf(value);
}

export async function replay(connected: Connected, terminal: Terminal, options: ReplayCommandOptions): Promise<void> {
  const box = boxOf(connected);
  const { id, force = false, dryRun = false, rate: perSecond } = options;
  if (id !== undefined) {
    const outcome = dryRun ? await box.refusalOf(id, { force }) : await box.replay(id, { force });
    if (outcome === undefined) return tell(terminal, ONE, 'would be replayed');
    if (!outcome.ok) throw new CommandError(outcome.why === 'needs-force' ? `${outcome.message}; see --force` : outcome.message);
    const { messageId, sequence } = outcome;
    return terminal.answer(outcome, () => `dead letter ${id} is replayed by message ${messageId}, sequence ${sequence}`);
  }
  const { signal } = terminal;
  const onProgress = ({ done }: RunResult): void => terminal.progress(`${done} replayed`);
  const result = await box.replayAll(await filterOf(connected, options), { force, dryRun, perSecond, signal, onProgress });
  tell(terminal, result, dryRun ? 'would be replayed' : 'replayed');
}

const noneOf = (id: string): string => `there is no dead letter ${id}`;

export async function purge(connected: Connected, terminal: Terminal, options: PurgeCommandOptions): Promise<void> {
  const box = boxOf(connected);
  const { id, dryRun = false, yes = false } = options;
  if (id !== undefined && (await box.show(id)) === undefined) throw new CommandError(noneOf(id));
  const filter = await filterOf(connected, options);
  const { signal } = terminal;
  const agreed = id === undefined ? await box.purgeAll(filter, { dryRun: true, signal }) : { ...ONE, lastLetter: id };
  const { done: count, lastLetter: throughLetter } = agreed;
  if (dryRun) return tell(terminal, agreed, 'would be deleted');
  // Delete nothing if the count was stopped, since it then covers only a part, or if nothing matches.
  if (agreed.stopped !== undefined || count === 0) return tell(terminal, { ...agreed, done: 0 }, 'deleted');
  if (!(await terminal.confirm(`Delete ${counted(count, 'dead letter')} for good?`, yes)))
    throw new CommandError('nothing was deleted');
  const onProgress = ({ done }: RunResult): void => terminal.progress(`${done} of ${count} deleted`);
  if (id !== undefined) return tell(terminal, { ...ONE, done: (await box.purge(id)) ? 1 : 0 }, 'deleted');
  // Dead letters added after the count were not part of the confirmation, so `throughLetter` excludes them.
  tell(terminal, await box.purgeAll(filter, { signal, onProgress, throughLetter }), 'deleted');
}

const REFUSAL_TEXTS: Readonly<Record<string, string>> = {
  'needs-force': 'need --force: their handler returned late, so look in your data for its effect first',
  replayed: 'were replayed meanwhile',
  absent: 'were gone meanwhile',
  limit: 'found no room',
};

type Told = Omit<RunResult, 'lastLetter'>;

const ONE: Told = { done: 1, refused: {}, stopped: undefined };

/** Prints the result of a run. Throws a CommandError if the run stopped early. */
function tell(terminal: Terminal, { done, refused, stopped }: Told, verb: string): void {
  const left = Object.entries(refused).map(([why, count]) => `${count} ${REFUSAL_TEXTS[why] ?? why}`);
  terminal.answer({ done, refused, stopped: stopped ?? null }, () => [`${done} ${verb}`, ...left].join('; '));
  if (stopped === 'aborted') throw new CommandError('interrupted: what was not reached is as it was');
  if (stopped === 'limit') throw new CommandError('stopped at a limit of the queue: go on when it has drained');
}
