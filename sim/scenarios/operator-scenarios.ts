/** An operator lists, replays and purges dead letters by drawn filters while nodes work. */
import type { DeadLetter } from '../../src/core/dead-letter.js';
import type { SurveyAnswer } from '../../src/core/log/control-operations.js';
import type { DeadLetterBox, DeadLetterFilter, RunResult } from '../../src/runtime/dead-letters.js';
import type { Cluster } from '../cluster.js';
import type { Stream } from '../sim-random.js';
import { type Asked, mustAll, ValueCalls } from '../value-calls.js';
import { drawFilter, isMeant, whyNotReplayed } from '../values/filters.js';
import { entityOf, type Must, type Scenario } from './scenario.js';

const NODES = ['n1', 'n2', 'n3'];
const TYPES = ['plain', 'fenced', 'retried'];
/** Dead letters per page. Small, so that most lists take several pages. */
const PAGE = 7;

/** Lets simulated time pass until the promise resolves. Returns its value; throws if it rejects or takes over 10 s. */
function settled<T>(sim: Cluster, promise: Promise<T>): T {
  let done: { readonly value: T } | undefined;
  let failed: unknown;
  promise.then(
    (value) => (done = { value }),
    (error: unknown) => (failed = error),
  );
  sim.until(() => done !== undefined || failed !== undefined, 10_000, 5);
  if (done === undefined) throw new Error(`it did not settle: ${String(failed)}`);
  return done.value;
}

function listed(sim: Cluster, box: DeadLetterBox, filter: DeadLetterFilter, must: Must): DeadLetter[] {
  const letters: DeadLetter[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: Awaited<ReturnType<DeadLetterBox['list']>> = settled(sim, box.list({ ...filter, after, limit: PAGE }));
    if (page.letters.length > PAGE || (page.next !== undefined && page.letters.length < PAGE))
      must('a page is full, or the last one', false);
    letters.push(...page.letters);
    after = page.next;
  }
  return letters;
}

interface Failing {
  readonly asked: Asked;
  /** Number of first handler starts that throw. */
  readonly throws: number;
}

/** Sends messages that fail at least once. Each call counts the starts of its handler. */
function sendFailing(sim: Cluster, calls: ValueCalls, stream: Stream, count: number): Failing[] {
  return Array.from({ length: count }, (_, i) => {
    const type = stream.pick(TYPES);
    // A message of type `retried` fails with its third attempt, one of another type with its first.
    const throws = (type === 'retried' ? 3 : 1) * stream.pick([1, 1, 2]);
    const id = stream.chance(0.4) ? `id-${i}` : undefined;
    const headers = stream.chance(0.3) ? JSON.stringify({ n: `${i}` }) : '';
    const asked: Asked = calls.ask(
      stream.pick(NODES.slice(0, 2)),
      { type, entityId: stream.int(1, 5), value: i, id, headers },
      {
        run: () => {
          if (asked.seen.length <= throws) throw new Error('again');
          return i;
        },
      },
    );
    if (i % 10 === 9) sim.run(30);
    return { asked, throws };
  });
}

/** Cuts n3 from the store with handlers running. Some of them end later, and their dead letters note that. */
function loseNode(sim: Cluster): void {
  for (let i = 0; i < 8; i++) {
    const entity = `plain:${entityOf('n3', NODES).slice('plain:'.length)}`;
    sim.send(
      'n3',
      i < 4 ? entityOf('n3', NODES, TYPES[i % 3] as 'plain') : entity,
      { c: `lost-${i}`, ms: i % 2 === 0 ? 1500 : 20, how: 'deaf' },
      {},
    );
  }
  sim.run(30);
  sim.cutStore('n3');
  sim.run(2500);
  sim.healStore('n3');
  sim.run(2000);
}

const countsOf = (letters: readonly DeadLetter[], force: boolean): string => {
  const refused: Record<string, number> = {};
  let done = 0;
  for (const letter of letters) {
    const why = whyNotReplayed(letter, force);
    if (why === '') done++;
    else refused[why] = (refused[why] ?? 0) + 1;
  }
  return JSON.stringify({ done, refused });
};

const said = ({ done, refused }: RunResult): string => JSON.stringify({ done, refused });

const idsOf = (letters: readonly DeadLetter[]): string => letters.map(({ id }) => id).join();

function started(
  sim: Cluster,
  stream: Stream,
  count: number,
): { readonly calls: ValueCalls; readonly failing: Failing[]; readonly box: DeadLetterBox } {
  sim.start(...NODES);
  sim.run(1000);
  const calls = new ValueCalls(sim);
  const failing = sendFailing(sim, calls, stream, count);
  calls.settle();
  return { calls, failing, box: sim.node('n1').deadLetters() };
}

export const OPERATOR_SCENARIOS: readonly Scenario[] = [
  {
    name: 'letters-by-filter',
    shows:
      'lists, dry runs and single looks at dead letters show exactly those that each drawn filter means, each once, oldest first (I4)',
    run(sim, must) {
      const stream = sim.world.stream('filters');
      const { box } = started(sim, stream, 60);
      loseNode(sim);
      const first = listed(sim, box, {}, must);
      must(
        'letters of both reasons are there, and one needs force',
        first.some(({ reason }) => reason === 'interrupted') && first.some((letter) => whyNotReplayed(letter, false) !== ''),
      );
      for (const { id } of first.filter(() => stream.chance(0.3))) settled(sim, box.replay(id, { force: true }));
      sim.run(500);
      const all = listed(sim, box, {}, must);
      must(
        'none is shown twice, and the oldest first',
        all.every(({ id }, i) => i === 0 || Number(id) > Number(all[i - 1]?.id)),
      );
      must('as many as are counted', settled(sim, box.count()) === all.length);
      const filters = Array.from({ length: 40 }, () => drawFilter(stream, all));
      mustAll(must, filters, (filter) => {
        const meant = all.filter((letter) => isMeant(letter, filter));
        const shown = idsOf(listed(sim, box, filter, must));
        return shown === idsOf(meant) ? '' : `${JSON.stringify(filter)} means ${idsOf(meant)}, and shows ${shown}`;
      });
      mustAll(must, filters, (filter) => {
        const force = stream.chance(0.5);
        const meant = all.filter((letter) => isMeant(letter, { ...filter, replayed: false }));
        const dry = settled(sim, box.replayAll(filter, { force, dryRun: true }));
        return said(dry) === countsOf(meant, force)
          ? ''
          : `a dry run of ${JSON.stringify(filter)} says ${said(dry)}, and not ${countsOf(meant, force)}`;
      });
      mustAll(must, all, (letter) => {
        const shown = settled(sim, box.show(letter.id));
        const why = settled(sim, box.refusalOf(letter.id))?.why ?? '';
        return JSON.stringify(shown) === JSON.stringify(letter) && why === whyNotReplayed(letter, false)
          ? ''
          : `${letter.id} is shown as ${JSON.stringify(shown)}, refused: ${why}`;
      });
      const last = Number(all.at(-1)?.id);
      mustAll(must, ['0', `${last + 1}`, '01', 'x', '', '-1'], (id) => {
        const isAbsent = settled(sim, box.show(id)) === undefined && !settled(sim, box.purge(id));
        return isAbsent && settled(sim, box.refusalOf(id))?.why === 'absent' ? '' : `there is a letter ${JSON.stringify(id)}`;
      });
    },
  },
  {
    name: 'letters-in-bulk',
    shows:
      'a run over dead letters replays each that it means once, at its rate, none that dies meanwhile, and ends at the limit that it was given',
    run(sim, must) {
      const stream = sim.world.stream('bulk');
      const { failing, box } = started(sim, stream, 60);
      loseNode(sim);
      const all = listed(sim, box, {}, must);
      const failed = all.filter(({ reason }) => reason === 'failed');
      const half = failed[Math.floor(failed.length / 2)]?.id ?? '0';
      const starts = failing.map(({ asked }) => asked.seen.length);
      const abort = new AbortController();
      const until = (done: RunResult): void => {
        if (done.done === 3) abort.abort();
      };
      const cut = settled(sim, box.replayAll({ reason: 'failed' }, { signal: abort.signal, onProgress: until }));
      must('a run that is aborted ends there', cut.done === 3 && cut.stopped === 'aborted' && cut.lastLetter === all.at(-1)?.id);
      const sinceMs = sim.world.nowMs;
      const through = settled(sim, box.replayAll({ reason: 'failed' }, { throughLetter: half, perSecond: 20 }));
      const bounded = failed.filter(({ id }) => Number(id) <= Number(half)).length - 3;
      must('one that is bounded takes none above', through.done === bounded && through.stopped === undefined);
      must('at its rate', sim.world.nowMs - sinceMs >= 50 * (bounded - 1) && sim.world.nowMs - sinceMs < 50 * bounded + 100);
      const whole = settled(sim, box.replayAll({ reason: 'failed' }, { throughLetter: all.at(-1)?.id, perSecond: 1000 }));
      must(
        'the rest is replayed',
        whole.done === failed.length - bounded - 3 && said(whole) === JSON.stringify({ done: whole.done, refused: {} }),
      );
      sim.run(1500);
      mustAll(must, failing, ({ asked: { call, seen }, throws }, i = failing.findIndex(({ asked }) => asked.call === call)) => {
        const before = starts[i] ?? 0;
        const again = throws > before ? throws - before : 1;
        return seen.length === before + again ? '' : `${call} ran ${before} times, and ${seen.length} after its replay`;
      });
      const refused = settled(sim, box.replay(failed[0]?.id ?? ''));
      must('a second replay is refused', !refused.ok && refused.why === 'replayed');
      const plain = settled(sim, box.replayAll({ reason: 'interrupted' }));
      must(
        'what may have taken effect is not replayed without force',
        said(plain) ===
          countsOf(
            all.filter(({ reason }) => reason === 'interrupted'),
            false,
          ) && (plain.refused['needs-force'] ?? 0) > 0,
      );
      const forced = settled(sim, box.replayAll({ reason: 'interrupted' }, { force: true }));
      must('and is with it', forced.done === plain.refused['needs-force']);
      sim.run(500);
      purgeInTurn(sim, box, stream, must);
    },
  },
  {
    name: 'survey-of-the-log',
    shows: 'a survey counts, of each type, the entities, the messages that run, and those that wait',
    run(sim, must) {
      const stream = sim.world.stream('survey');
      sim.start('n1', 'n2');
      sim.run(500);
      const counts = TYPES.map((type) => ({ type, entities: stream.int(1, 4), pending: 0 }));
      for (const count of counts)
        for (let i = 0; i < count.entities; i++) {
          const waiting = stream.int(0, 3);
          count.pending += waiting;
          for (let j = 0; j <= waiting; j++) sim.send('n1', `${count.type}:${i}`, { c: `${count.type}-${i}-${j}`, ms: 300 });
        }
      sim.run(100);
      const survey = sim.server.applyControl('operator', { op: 'survey', cursor: '0' }) as SurveyAnswer;
      const shown = survey.types.map(({ type, entities, running, pending }) => `${type} ${entities} ${running} ${pending}`);
      const meant = counts.map(({ type, entities, pending }) => `${type} ${entities} ${entities} ${pending}`);
      must(`it says ${shown.join(', ')}, and not ${meant.join(', ')}`, shown.sort().join() === meant.sort().join());
    },
  },
  {
    name: 'replays-up-to-the-limit',
    shows: 'a run of replays stops where the queue has no room left, and says so',
    settings: { depthMaxTotal: 4 },
    run(sim, must) {
      const stream = sim.world.stream('limit');
      sim.start('n1', 'n2');
      sim.run(500);
      const calls = new ValueCalls(sim);
      for (let i = 0; i < 8; i++) {
        calls.ask(
          'n1',
          { entityId: 'full' },
          {
            run: () => {
              throw new Error('once');
            },
          },
        );
        calls.settle();
      }
      const room = stream.int(1, 2);
      for (let i = room; i < 4; i++) sim.send('n1', 'plain:full', { c: `slow-${i}`, ms: 800 });
      sim.run(20);
      const box = sim.node('n2').deadLetters();
      const run = settled(sim, box.replayAll({}, { perSecond: 1000 }));
      must(
        `${room} replays had room (${said(run)})`,
        said(run) === JSON.stringify({ done: room, refused: { limit: 1 } }) && run.stopped === 'limit',
      );
      must('none of the others counts as replayed', listed(sim, box, { replayed: false }, must).length === 8 - room);
    },
  },
];

/** Purges by drawn filters until no dead letter is left. */
function purgeInTurn(sim: Cluster, box: DeadLetterBox, stream: Stream, must: Must): void {
  sim.fault('operatorPurges', 'once', '', {});
  let left = listed(sim, box, {}, must);
  for (let turn = 0; left.length > 0; turn++) {
    const filter = turn > 20 ? {} : drawFilter(stream, left);
    const meant = left.filter((letter) => isMeant(letter, filter));
    const dry = settled(sim, box.purgeAll(filter, { dryRun: true }));
    const run = settled(sim, box.purgeAll(filter));
    left = left.filter((letter) => !meant.includes(letter));
    const isWell = dry.done === meant.length && run.done === meant.length && idsOf(listed(sim, box, {}, must)) === idsOf(left);
    if (!isWell) must(`${JSON.stringify(filter)} means ${meant.length} letters, and ${run.done} were purged`, false);
    const [gone] = meant;
    if (gone !== undefined && settled(sim, box.purge(gone.id))) must('what is purged is gone', false);
  }
}
