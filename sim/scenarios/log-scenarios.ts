/** Agreement of the log and its callers: lost replies, late copies, gaps, refusals, withdrawals, sends. */
import type { Call } from '../client.js';
import type { Job } from '../job.js';
import { endOf, eventsOf, hasState, placedOnTwo, type Scenario, startedOn } from './scenario.js';

const A = 'plain:a';

export const LOG_SCENARIOS: readonly Scenario[] = [
  {
    name: 'reply-lost-after-apply',
    shows: 'a batch whose reply is lost is sent again and applied once',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.conditions.replyLost = 1;
      const call = sim.send('n1', A, { c: 'once' });
      sim.run(150);
      sim.conditions.replyLost = 0;
      must(
        'the caller has its receipt',
        sim.until(() => call.outcome === 'ok', 1500),
      );
      must('it is in the log once', eventsOf(sim, 'append').length === 1);
      sim.run(500);
      must('it ran once', startedOn(sim, A).length === 1);
    },
  },
  {
    name: 'late-copies',
    shows: 'copies of batches that a stalled socket delivers seconds later, also of a dead node, change nothing',
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(500);
      sim.conditions.lateCopy = 0.6;
      for (let i = 0; i < 10; i++) {
        sim.send('n1', A, { c: `l${i}` });
        sim.run(40);
      }
      sim.conditions.lateCopy = 0;
      sim.crash('n1');
      sim.gone.add('n1');
      sim.run(9000);
      must('copies came late', sim.server.hits.lateCopy > 3);
      must(
        'nothing is in the log twice',
        new Set(eventsOf(sim, 'append').map((e) => e.call)).size === eventsOf(sim, 'append').length,
      );
    },
  },
  {
    name: 'gap',
    shows: 'a batch that overtakes the one before it is told of the gap and leaves again behind it',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.conditions.storeReorder = 0.7;
      const calls = Array.from({ length: 40 }, (_, i) => {
        const call = sim.send('n1', A, { c: `g${i}`, ms: 0 });
        sim.run(3);
        return call;
      });
      sim.conditions.storeReorder = 0;
      must(
        'all are accepted',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 3000),
      );
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 3000),
      );
      must('in the order of the calls', startedOn(sim, A).join() === calls.map((c) => c.name).join());
    },
  },
  {
    name: 'refused-writes',
    shows: 'a store out of memory refuses appends definitely, while what runs still ends (H26)',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const before = sim.send('n1', A, { c: 'before', ms: 100 }, { how: 'wait' });
      sim.run(20);
      sim.conditions.refusing = 'oom';
      const refused = sim.send('n1', 'plain:b', { c: 'refused' });
      sim.run(400);
      must('the append is refused definitely', refused.outcome === 'fail' && refused.code === 'STORE_UNAVAILABLE');
      must('what ran has ended', before.outcome === 'ok');
      sim.conditions.refusing = 'none';
      sim.run(500);
      must(
        'the refused one is not in the log',
        eventsOf(sim, 'append').every((e) => e.call !== 'refused'),
      );
    },
  },
  {
    name: 'one-copy-refused',
    shows: 'a refusal of the second copy says nothing of the first, which was applied: the caller is not told that it failed',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.conditions.replyLost = 1;
      const call = sim.send('n1', A, { c: 'twice' });
      sim.run(100);
      sim.conditions.replyLost = 0;
      sim.conditions.refusing = 'oom';
      const refused = sim.server.hits.refused;
      sim.run(350);
      must('the second copy is refused', sim.server.hits.refused > refused);
      must('the caller is not told that it failed', call.outcome !== 'fail');
      sim.conditions.refusing = 'none';
      must(
        'a later copy gets the answer of the first',
        sim.until(() => call.outcome === 'ok', 500),
      );
      sim.run(300);
      must('it ran once', startedOn(sim, A).join() === 'twice');
    },
  },
  {
    name: 'fenced-in-flight',
    shows: 'what was in flight when its node was declared dead may be in the log: its caller is told so, and no more',
    settings: { enqueueTimeoutMs: 5000 },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      sim.conditions.replyLost = 1;
      const call = sim.send('n1', A, { c: 'in flight' });
      sim.run(10);
      sim.cutStore('n1');
      sim.conditions.replyLost = 0;
      sim.run(1500);
      sim.healStore('n1');
      must(
        'its node comes back as another',
        sim.until(() => hasState(sim, 'n1', 'lease-lost'), 1000),
      );
      sim.run(50);
      must('the caller is told that nobody knows', call.outcome === 'unknown' && call.code === 'OUTCOME_UNKNOWN');
      must('it was in the log, and has ended there', endOf(sim, call) !== undefined);
    },
  },
  {
    name: 'full-entity',
    shows: 'an entity that is full refuses definitely; what has ended, however badly, makes room again (E7)',
    settings: { depthMax: 3, depthMaxTotal: 5 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const burst = (tag: string, how: Job['how']) =>
        [1, 2, 3, 4].map((i) => sim.send('n1', A, { c: `${tag}-${i}`, how, ms: 20 }, { how: 'wait' }));
      for (let round = 1; round <= 4; round++) {
        const calls = burst(`r${round}`, round % 2 === 0 ? 'ok' : 'throw');
        sim.run(200);
        const codes = calls.map((c) => c.code || c.outcome).join();
        const ended = round % 2 === 0 ? 'ok' : 'HANDLER_FAILED';
        must(
          `round ${round}: three end, the fourth is refused (${codes})`,
          codes === `${ended},${ended},${ended},QUEUE_DEPTH_EXCEEDED`,
        );
      }
      must('nothing refused is in the log', eventsOf(sim, 'append').length === 12);
      const others = [1, 2, 3, 4, 5, 6].map((i) => sim.send('n1', `plain:o${i}`, { c: `o${i}`, ms: 50 }));
      sim.run(30);
      must('the limit of all together holds as well', others.map((c) => c.outcome).join() === 'ok,ok,ok,ok,ok,fail');
    },
  },
  {
    name: 'dead-letters-have-limits',
    shows: 'a master deletes the oldest dead letters past `deadLetters.max`, and those past `deadLetters.ttl`, and no others',
    settings: { deadLetters: { max: 3, ttl: 20 } },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(500);
      const numbers = (): string => [...sim.server.state.letters.keys()].join();
      for (let i = 0; i < 8; i++) sim.send('n1', A, { c: `f${i}`, how: 'throw' });
      sim.send('n1', A, { c: 'refused', how: 'refuse' });
      sim.run(1000);
      must('each failure made one, and the refusal none', numbers() === '1,2,3,4,5,6,7,8');
      must(
        'the oldest go',
        sim.until(() => numbers() === '6,7,8', 8000),
      );
      sim.run(8000);
      must('those within the limits stay', numbers() === '6,7,8');
      must(
        'they go when they are too old',
        sim.until(() => numbers() === '', 16_000),
      );
    },
  },
  {
    name: 'empty-number-not-reused',
    shows: 'the number of a refused batch that left again empty, and got lost, is used for nothing else (found by seed 542)',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const calls: Call[] = [];
      // Two batches are in flight, and both are refused. The older one is sent again empty, and the reply to that copy is lost.
      for (let round = 0; round < 10; round++) {
        sim.conditions.refusing = 'oom';
        calls.push(sim.send('n1', A, { c: `r${round}-1` }));
        sim.run(0.1);
        calls.push(sim.send('n1', 'plain:b', { c: `r${round}-2` }));
        sim.run(5);
        sim.conditions.refusing = 'none';
        sim.conditions.replyLost = 1;
        sim.run(35);
        sim.conditions.replyLost = 0;
        sim.run(250);
        calls.push(sim.send('n1', A, { c: `r${round}-3` }));
        sim.run(500);
      }
      must(
        'every call is told',
        sim.until(() => calls.every((c) => c.outcome !== 'open'), 3000),
      );
      must('nothing is unhandled', eventsOf(sim, 'defect').length === 0);
    },
  },
  {
    name: 'full-store',
    shows: 'a store without memory takes what frees some, also when replies were lost before: it heals by our own expiry',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const calls: Call[] = [];
      const send = (entity: string): void => void calls.push(sim.send('n1', entity, { c: `f${calls.length}`, ms: 30 }));
      for (let i = 0; i < 6; i++) send(`plain:b${i}`);
      sim.run(10);
      // Batches with appends are sent, and their requests are lost. The store is full when they are sent again.
      sim.conditions.requestLost = 1;
      send(A);
      sim.run(2);
      send('plain:c');
      sim.run(30);
      sim.conditions.full = true;
      sim.conditions.requestLost = 0;
      must(
        'handlers that ran end in the log',
        sim.until(() => sim.depth === 0, 3000),
      );
      must('while it is full', sim.conditions.full);
      must(
        'the expiry passes',
        sim.until(() => !sim.conditions.full, 8000),
      );
      must(
        'and every call is told',
        sim.until(() => calls.every((c) => c.outcome !== 'open'), 100),
      );
      must('those that were not taken, definitely', calls.filter((c) => c.outcome === 'fail').length === 2);
    },
  },
  {
    name: 'withdraw-race',
    shows: 'a caller who gives up takes the message back, or is told that it runs; never both',
    settings: { replyTimeoutMs: 300 },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const calls = Array.from({ length: 12 }, (_, i) =>
        sim.send(i % 2 === 0 ? 'n1' : 'n2', A, { c: `w${i}`, ms: 60 }, { how: 'wait', onTimeout: 'withdraw' }),
      );
      must(
        'every call is told',
        sim.until(() => calls.every((c) => c.outcome !== 'open'), 3000),
      );
      sim.run(1000);
      const withdrawn = calls.filter((c) => endOf(sim, c) === 'withdrawn');
      must('some were withdrawn', withdrawn.length > 0);
      must(
        'none of those ran',
        withdrawn.every((c) => !startedOn(sim, A).includes(c.name)),
      );
    },
  },
  {
    name: 'transactional-sends',
    shows: 'what a handler sends is logged with its completion: a crash neither drops nor doubles it',
    settings: { onInterrupt: 'retry' },
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'retried:from');
      const sends = [{ entity: 'plain:to', job: { c: 't.1', op: 'deposit', amount: 5, ms: 1, how: 'ok' } as const }];
      const transfer = sim.send(other, 'retried:from', { c: 't', op: 'withdraw', amount: 5, ms: 300, sends });
      sim.run(250);
      sim.crash(owner);
      must(
        'the transfer completes elsewhere',
        sim.until(() => endOf(sim, transfer) === 'completed', 5000),
      );
      sim.run(500);
      must('the deposit is there once', startedOn(sim, 'plain:to').length === 1 && sim.bank.account('plain:to').balance === 5);
    },
  },
  {
    name: 'deadline-across-incarnations',
    shows: 'the deadline of an enqueue does not start anew with the next incarnation (found by seed 128)',
    settings: { enqueueTimeoutMs: 3000 },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      sim.cutStore('n1');
      sim.run(10);
      // Two batches stay in flight. The third message waits behind them for the next incarnation.
      for (const c of ['flies-1', 'flies-2']) {
        sim.send('n1', A, { c });
        sim.run(5);
      }
      const call = sim.send('n1', A, { c: 'waits' });
      sim.run(2000);
      sim.delay(0, 40);
      sim.healStore('n1');
      sim.until(() => hasState(sim, 'n1', 'lease-lost') && sim.node('n1').node?.status().state === 'running', 2000, 1);
      sim.cutStore('n1');
      must(
        'it is told within its deadline',
        sim.until(() => call.outcome !== 'open', 1400),
      );
    },
  },
  {
    name: 'store-clock-jumps-before-a-retry',
    shows: 'a retry does not wait for a jump of the store clock to come true (found by seed 592)',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const call = sim.send('n1', 'retried:r', { c: 'retry', how: 'throw-first', ms: 30 }, { how: 'wait' });
      sim.run(20);
      sim.server.jumpMs += 60_000;
      must(
        'the second attempt comes soon',
        sim.until(() => call.outcome === 'ok', 2000),
      );
    },
  },
  {
    name: 'hint-of-an-earlier-attempt',
    shows:
      'a late hint that carries the message as it was before a retry does not make its attempt count again (found by seed 1491)',
    settings: { backoffDelayMs: 2500 },
    run(sim, must) {
      const entity = 'retried:h';
      const { owner, other } = placedOnTwo(sim, entity);
      sim.send(other, entity, { c: 'tried', how: 'throw-first', ms: 100 });
      sim.run(20);
      const asItWas = sim.server.state.entities.get(entity)?.running;
      sim.run(200);
      sim.crash(owner);
      sim.gone.add(owner);
      const ownerThen = sim.server.state.entities.get(entity)?.owner;
      must(
        'it is taken over before the wait is over',
        sim.until(() => sim.server.state.entities.get(entity)?.owner !== ownerThen, 2200),
      );
      // The hint was in transit all the time.
      const { incarnation } = sim.node(other);
      sim.hub.listenerOf(incarnation)?.receive({ kind: 'wake', entity, message: asItWas }, 0);
      must(
        'it ends',
        sim.until(() => sim.depth === 0, 5000),
      );
      const attempts = eventsOf(sim, 'start').filter((e) => e.call === 'tried');
      must('the second attempt is the second', attempts.map((e) => e.attempt).join() === '1,2');
    },
  },
  {
    name: 'read-only-store',
    shows: 'a store that takes no writes refuses an append definitely, although the batch goes on without it',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.conditions.refusing = 'readonly';
      const call = sim.send('n1', A, { c: 'refused' });
      must(
        'its caller learns at once that nothing was written',
        sim.until(() => call.outcome !== 'open', 15, 1) && call.outcome === 'fail' && call.code === 'STORE_UNAVAILABLE',
      );
      sim.run(100);
      sim.conditions.refusing = 'none';
      const next = sim.send('n1', A, { c: 'next' }, { how: 'wait' });
      must(
        'the next one is taken',
        sim.until(() => next.outcome === 'ok', 1500),
      );
      must('and the refused one has not run', startedOn(sim, A).join() === 'next');
    },
  },
  {
    name: 'large-batch-is-sent-again',
    shows: 'a large batch whose reply is lost is sent again like any other, and applied once',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.conditions.replyLost = 1;
      const call = sim.send('n1', A, { c: 'large', pad: 200_000 });
      sim.run(150);
      sim.conditions.replyLost = 0;
      must(
        'the caller has its receipt',
        sim.until(() => call.outcome === 'ok', 600),
      );
      must('the message is in the log once', eventsOf(sim, 'append').length === 1);
    },
  },
];
