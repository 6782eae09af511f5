/** What an operator is shown of the log: a right look, and small changes of it that the checker must find. */
import { describe, expect, it } from 'vitest';
import { inMacrotask } from '../../sim/ambient.js';
import { check } from '../../sim/checkers/check.js';
import type { Shown } from '../../sim/history.js';
import { runPlan } from '../../sim/run.js';
import { drawPlan } from '../../sim/swarm.js';
import { append, end, historyOf, move, ON1, type Raw, start } from './history.js';

const A = 'plain:a';
const R = 'retried:r';
const letter = (id: string, entity: string, seq: number, reason: 'failed' | 'interrupted'): Raw => ({
  ...{ kind: 'letter', ...ON1, letter: id, entity, id: `id-${id}`, seq, attempt: 1, reason },
});

/** Three dead letters, of which the first is replayed and the third says that its handler completed late; one message runs, two wait. */
const log: readonly Raw[] = [
  ...[append('c1', A, 1), move(A, 1, 'dispatched'), move(A, 1, 'failed'), letter('1', A, 1, 'failed')],
  ...[append('c2', A, 2), move(A, 2, 'dispatched'), move(A, 2, 'failed'), letter('2', A, 2, 'failed')],
  ...[append('c3', R, 1), move(R, 1, 'dispatched'), start('c3', R, 1), move(R, 1, 'interrupted')],
  ...[letter('3', R, 1, 'interrupted'), end(R, 1, '5')],
  { kind: 'late', ...ON1, entity: R, seq: 1, attempt: 1, of: 1, outcome: 'completed' },
  ...[append('c1', A, 3, { replayOf: '1' }), move(A, 3, 'dispatched'), append('c4', A, 4), append('c5', R, 2)],
];

type Look = Omit<Shown, 'index' | 'atMs'>;

const one = { id: '1', entity: A, sequence: 1, attempts: 1, reason: 'failed', diedAtMs: 10, isReplayed: true } as const;
const two = { ...one, id: '2', sequence: 2, diedAtMs: 20, isReplayed: false } as const;
const three = { ...two, id: '3', entity: R, sequence: 1, reason: 'interrupted', diedAtMs: 30 } as const;

const look: Look = {
  ...{ kind: 'shown', node: '', incarnation: 0 },
  counts: { depth: 3, active: 2, letters: 3, lastLetter: 3, replayable: 1, needForce: 1 },
  types: { plain: { running: 1, pending: 1 }, retried: { running: 0, pending: 1 } },
  entities: [{ entity: A, running: 3, pending: [1, 1] }],
  letters: [one, two, three],
  lists: [
    { filter: { entityType: 'plain' }, ids: ['1', '2'] },
    { filter: { entityType: 'retried', entityId: 'r' }, ids: ['3'] },
    { filter: { reason: 'interrupted' }, ids: ['3'] },
    { filter: { sinceMs: 20 }, ids: ['2', '3'] },
    { filter: { replayed: true }, ids: ['1'] },
    { filter: { entityType: 'plain', reason: 'failed', replayed: false }, ids: ['2'] },
  ],
  first: '1',
};

const found = (shown: Look, before = log): string[] => [
  ...new Set(check(historyOf([...before, shown])).violations.map(({ invariant }) => invariant)),
];
const counted = (of: Partial<Shown['counts']>): Look => ({ ...look, counts: { ...look.counts, ...of } });
const listed = (at: number, ids: readonly string[]): Look => ({
  ...look,
  lists: look.lists.map((list, i) => (i === at ? { ...list, ids } : list)),
});

describe('a look at the log', () => {
  it('is right if it is what the history says', () => expect(found(look)).toEqual([]));

  it.each<[string, Look]>([
    ['another depth', counted({ depth: 4 })],
    ['an entity too few with work', counted({ active: 1 })],
    ['a dead letter too few', counted({ letters: 2 })],
    ['another last number', counted({ lastLetter: 2 })],
    ['a dry run that would replay what needs force', counted({ replayable: 2, needForce: 0 })],
    ['a running message that waits', { ...look, types: { ...look.types, plain: { running: 0, pending: 2 } } }],
    ['a type too few', { ...look, types: { plain: { running: 1, pending: 1 } } }],
    ['a type with work that has none', { ...look, types: { ...look.types, fenced: { running: 0, pending: 1 } } }],
    ['another running message', { ...look, entities: [{ entity: A, running: 4, pending: [1, 1] }] }],
    ['two counts of what waits', { ...look, entities: [{ entity: A, running: 3, pending: [1, 2] }] }],
    ['a letter that is left out', { ...look, letters: [one, three] }],
    ['letters in another order', { ...look, letters: [two, one, three] }],
    ['a letter of another entity', { ...look, letters: [one, { ...two, entity: R }, three] }],
    ['a letter of another message', { ...look, letters: [one, { ...two, sequence: 1 }, three] }],
    ['a letter with another attempt', { ...look, letters: [one, { ...two, attempts: 2 }, three] }],
    ['a letter with another reason', { ...look, letters: [one, { ...two, reason: 'interrupted' }, three] }],
    ['a replay that is not shown', { ...look, letters: [{ ...one, isReplayed: false }, two, three] }],
    ['a letter of another type in the list of one', listed(0, ['1', '2', '3'])],
    ['none in the list of an entity', listed(1, [])],
    ['one too many by its reason', listed(2, ['2', '3'])],
    ['one too few by its time', listed(3, ['3'])],
    ['one that was not replayed among those that were', listed(4, ['1', '2'])],
    ['one too many by all together', listed(5, ['1', '2'])],
    ['nothing under the number of the first', { ...look, first: undefined }],
    ['something under a number that none has', { ...look, surplus: '3' }],
  ])('is found with %s', (_what, shown) => expect(found(shown)).toEqual(['I4']));

  it('knows what was deleted', () => {
    const drop: Raw = { kind: 'drop', ...ON1, letter: '1', left: 2, ageMs: 100_000 };
    expect(found(look, [...log, drop])).toEqual(['I4']);
  });

  it('is taken three times in each run, and none of them is of an empty log only', async () => {
    const { history } = await inMacrotask((drain) => runPlan(drawPlan(7), { drain }));
    const looks = history.filter((event) => event.kind === 'shown');
    expect(looks).toHaveLength(3);
    expect(looks.some(({ letters, counts }) => letters.length > 7 && counts.depth > 0)).toBe(true);
  });
});
