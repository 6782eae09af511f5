/** Limits: entities with work, concurrent handlers, and the time that an entity may be idle. */
import type { Target } from '../job.js';
import { endOf, entityOf, eventsOf, placedOnTwo, type Scenario, startedOn } from './scenario.js';

const sendTo = (entity: string, c: string): Target => ({ entity, job: { c, op: 'deposit', amount: 1, ms: 5, how: 'ok' } });

export const LIMIT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'sends-at-the-worker-limit',
    shows: 'a handler at `maxTotalWorkers` may send to one new entity if its own entity becomes idle, and not if it does not',
    settings: { workersMax: 2 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.send('n1', 'plain:other', { c: 'other', ms: 400 });
      const last = sim.send('n1', 'plain:a', { c: 'last', ms: 50, sends: [sendTo('plain:new', 'last.1')] });
      sim.run(150);
      must('the last message of its entity sends to a new one', endOf(sim, last) === 'completed');
      must('what it sent has run', startedOn(sim, 'plain:new').join() === 'last.1');
      const sends = [sendTo('plain:new', 'two.1'), sendTo('plain:newer', 'two.2')];
      const two = sim.send('n1', 'plain:a', { c: 'two', ms: 20, sends });
      sim.run(50);
      must('two new entities are one too many', endOf(sim, two) === 'failed');
      const first = sim.send('n1', 'plain:a', { c: 'first', ms: 20, sends: [sendTo('plain:new', 'first.1')] });
      const behind = sim.send('n1', 'plain:a', { c: 'behind', ms: 20 });
      sim.run(100);
      must('so is one new entity while a message waits behind the handler', endOf(sim, first) === 'failed');
      must('which runs', endOf(sim, behind) === 'completed');
      must(
        'nothing else was sent',
        eventsOf(sim, 'append').every(({ entity, call }) => entity !== 'plain:new' || call === 'last.1'),
      );
    },
  },
  {
    name: 'slots-in-turn',
    shows: 'an entity with more messages gives its slot to an entity that waits for one (L3)',
    settings: { concurrentHandlersMax: 1 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      for (let i = 0; i < 10; i++) sim.send('n1', 'plain:a', { c: `a${i}`, ms: 20 });
      sim.run(10);
      const waits = sim.send('n1', 'plain:b', { c: 'waits', ms: 20 }, { how: 'wait' });
      must(
        'the other entity has its turn after the handler that runs',
        sim.until(() => waits.outcome === 'ok', 1000, 5) && startedOn(sim, 'plain:a').length < 3,
      );
    },
  },
  {
    name: 'ends-before-arrivals',
    shows: 'the end of a handler leaves before messages that came earlier and still wait to leave',
    settings: { storeCallTimeoutMs: 400 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.slowStore('n1', 40);
      const call = sim.send('n1', 'plain:a', { c: 'ends', ms: 30 });
      must(
        'its handler runs',
        sim.until(() => startedOn(sim, 'plain:a').length > 0, 400, 1),
      );
      for (let i = 0; i < 1500; i++) sim.send('n1', `plain:b${i % 10}`, { c: `b${i}`, ms: 0 });
      must(
        'it ends',
        sim.until(() => endOf(sim, call) !== undefined, 600, 1),
      );
      const appended = eventsOf(sim, 'append').length;
      must(`long before the last message is logged (${appended})`, appended > 200 && appended < 1200);
    },
  },
  {
    name: 'larger-than-a-batch',
    shows: 'a message that is larger than a batch may be leaves alone, and the messages around it keep their order',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const pads = [10, 1_200_000, 10];
      const calls = pads.map((pad, i) => sim.send('n1', 'plain:a', { c: `p${i}`, pad }, { how: 'wait' }));
      must(
        'all of them are accepted and run',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 200),
      );
      must('in order', startedOn(sim, 'plain:a').join() === 'p0,p1,p2');
    },
  },
  {
    name: 'call-behind-what-waits',
    shows: 'what a handler waits for gets past the limit of handlers, and so does the message before it',
    settings: { concurrentHandlersMax: 1 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const ask = sendTo('plain:b', 'asked');
      const asks = sim.send('n1', 'plain:a', { c: 'asks', ms: 100, ask }, { how: 'wait' });
      sim.run(10);
      const before = sim.send('n1', 'plain:b', { c: 'before' }, { how: 'wait' });
      sim.run(40);
      must('the one slot is taken', startedOn(sim, 'plain:b').length === 0);
      must(
        'both messages of the other entity run while the first handler has the slot',
        sim.until(() => asks.outcome === 'ok', 200, 5) && before.outcome === 'ok',
      );
      must('in order', startedOn(sim, 'plain:b').join() === 'before,asked');
    },
  },
  {
    name: 'turn-comes-again',
    shows: 'an entity that has given its slot up goes on with messages that only the log holds (L3, L4)',
    settings: { concurrentHandlersMax: 1, reconcileIntervalMs: 4000, idleTimeoutMs: 2500 },
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      sim.partition([owner], [other]);
      const calls = [1, 2, 3].map((i) => sim.send(other, 'plain:a', { c: `a${i}`, ms: 20 }));
      sim.run(10);
      const both = ['n1', 'n2'];
      sim.send(owner, entityOf(owner, both), { c: 'holds', ms: 60 });
      sim.run(10);
      must(
        'the messages wait, and their owner does not know',
        calls.every((c) => c.outcome === 'ok') && startedOn(sim, 'plain:a').length === 0,
      );
      sim.healLinks();
      sim.hub.listenerOf(sim.node(owner).incarnation)?.receive({ kind: 'wake', entity: 'plain:a', message: undefined }, 0);
      sim.send(owner, entityOf(owner, both, 'fenced'), { c: 'turn', ms: 20 });
      must(
        'all of them run in turn, and none waits for a sweep',
        sim.until(() => sim.depth === 0, 400, 5),
      );
      must('in order', startedOn(sim, 'plain:a').join() === 'a1,a2,a3');
    },
  },
  {
    name: 'busy-entity-is-kept',
    shows: 'an entity is given up only after it was idle for the whole `workerIdleTimeout`',
    settings: { idleTimeoutMs: 400 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const isReleased = (): boolean => eventsOf(sim, 'own').some((e) => e.how === 'release');
      for (let i = 0; i < 8; i++) {
        sim.send('n1', 'plain:a', { c: `m${i}` });
        sim.run(250);
      }
      must('one that has a message every 250 ms is kept', !isReleased());
      must('and is given up soon after its last one', sim.until(isReleased, 250));
    },
  },
  {
    name: 'slot-beside-a-full-store',
    shows: 'a handler that has ended, and whose sends the store has no memory for, holds no slot',
    settings: { concurrentHandlersMax: 1 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const { entity, job } = sendTo('plain:c', 'sends.1');
      const large = [{ entity, job: { ...job, pad: 5000 } }];
      const sends = sim.send('n1', 'plain:a', { c: 'sends', ms: 40, sends: large });
      sim.run(10);
      const waits = sim.send('n1', 'plain:b', { c: 'waits' });
      sim.run(10);
      sim.conditions.refusing = 'oom';
      must(
        'what was logged before runs',
        sim.until(() => endOf(sim, waits) === 'completed', 200, 5),
      );
      must(
        'while the sends wait for memory',
        endOf(sim, sends) === undefined && sim.node('n1').node?.status().awaitingRoom === 1,
      );
      sim.conditions.refusing = 'none';
      must(
        'and they leave when there is some',
        sim.until(() => sim.depth === 0, 2000) && startedOn(sim, 'plain:c').join() === 'sends.1',
      );
    },
  },
];
