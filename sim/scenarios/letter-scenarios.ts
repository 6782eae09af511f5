/** Dead letters: their limits, and paging through those that remain. */
import type { LettersAnswer } from '../../src/core/log/control-operations.js';
import type { Cluster } from '../cluster.js';
import type { Scenario } from './scenario.js';

const numbersOf = (sim: Cluster): string => [...sim.server.state.letters.keys()].join();

function startAndFail(sim: Cluster, count: number): void {
  sim.start('n1');
  sim.run(500);
  for (let i = 1; i <= count; i++) sim.send('n1', 'plain:a', { c: `f${i}`, how: 'throw' });
  sim.run(500);
}

export const LETTER_SCENARIOS: readonly Scenario[] = [
  {
    name: 'number-limit-alone',
    shows: '`deadLetters.max` is kept where no `deadLetters.ttl` is set',
    settings: { deadLetters: { max: 3, ttl: 0 }, cleanupIntervalMs: 1000 },
    run(sim, must) {
      startAndFail(sim, 6);
      must(
        'the oldest go',
        sim.until(() => numbersOf(sim) === '4,5,6', 3000),
      );
      sim.run(3000);
      must('and no others', numbersOf(sim) === '4,5,6');
    },
  },
  {
    name: 'time-limit-alone',
    shows: '`deadLetters.ttl` is kept where no `deadLetters.max` is set',
    settings: { deadLetters: { max: 0, ttl: 4 }, cleanupIntervalMs: 1000 },
    run(sim, must) {
      startAndFail(sim, 6);
      sim.run(3000);
      must('none goes before its time', numbersOf(sim) === '1,2,3,4,5,6');
      must(
        'all go after it',
        sim.until(() => numbersOf(sim) === '', 4000),
      );
    },
  },
  {
    name: 'time-limit-behind-a-clock-ahead',
    shows: 'dead letters past `deadLetters.ttl` go, also those behind one that a clock far ahead has stamped',
    settings: { deadLetters: { max: 0, ttl: 2 }, cleanupIntervalMs: 500 },
    run(sim, must) {
      sim.server.jumpMs += 60_000;
      startAndFail(sim, 1);
      sim.server.jumpMs -= 60_000;
      sim.run(2000);
      for (const c of ['later', 'last']) sim.send('n1', 'plain:b', { c, how: 'throw' });
      sim.run(1000);
      must('none goes before its time', numbersOf(sim) === '1,2,3');
      must(
        'those that are due go',
        sim.until(() => numbersOf(sim) === '1', 4000),
      );
    },
  },
  {
    name: 'pages-over-a-gap',
    shows: 'an operator who has purged one dead letter still gets all that come after it, page by page',
    settings: { deadLetters: { max: 0, ttl: 1 }, cleanupIntervalMs: 60_000 },
    run(sim, must) {
      startAndFail(sim, 5);
      sim.run(1500);
      must('one is purged', sim.server.applyControl('operator', { op: 'purge', letter: '3' }).ok);
      const shown: string[] = [];
      let after = '';
      for (let pages = 0; pages < 10; pages++) {
        const { letters, next } = sim.server.applyControl('operator', { op: 'letters', after, max: 2 }) as LettersAnswer;
        shown.push(...letters.map(({ id }) => id));
        after = next;
        if (next === '') break;
      }
      must(`the others are shown, once each (${shown})`, shown.join() === '1,2,4,5' && after === '');
    },
  },
];
