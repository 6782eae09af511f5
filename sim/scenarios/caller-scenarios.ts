/** What callers see: links that deliver in one direction only, calls in a circle, and repeated calls. */
import { AtomicQueuesError } from '../../src/core/errors.js';
import type { Call } from '../client.js';
import type { Target } from '../job.js';
import { outgoingOf } from '../sim-node.js';
import { endOf, entityOf, eventsOf, optionsOf, placedOnTwo, type Scenario, startedOn, toldTo } from './scenario.js';

const THREE = ['n1', 'n2', 'n3'];

/** Returns a call for a handler to make. `ask` is the call that the called handler makes in turn. */
const asking = (c: string, entity: string, ask?: Target): Target => ({
  entity,
  job: { c, op: 'deposit', amount: 1, ms: 5, how: 'ok', ...(ask === undefined ? {} : { ask }) },
});

export const CALLER_SCENARIOS: readonly Scenario[] = [
  {
    name: 'one-way-link',
    shows: 'requests pass and replies do not: the result is read back from the log, and nothing runs again (I4)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      sim.partitionOneway(owner, other);
      const calls = ['w1', 'w2', 'w3'].map((c) => sim.send(other, 'plain:a', { c }, { how: 'wait' }));
      sim.run(50);
      must('all have run', startedOn(sim, 'plain:a').join() === 'w1,w2,w3');
      must(
        'no reply has come',
        calls.every((c) => c.outcome === 'open'),
      );
      must(
        'the callers have their results a sweep later',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 700),
      );
      must('and nothing ran twice', startedOn(sim, 'plain:a').length === 3);
    },
  },
  {
    name: 'peers-cut-off',
    shows: 'nodes that reach the store and not each other serve every entity: no hint is needed (H19)',
    run(sim, must) {
      sim.start(...THREE);
      sim.run(1000);
      sim.partition(['n1'], ['n2', 'n3']);
      sim.partition(['n2'], ['n3']);
      const calls: Call[] = [];
      for (const from of THREE)
        for (const to of THREE) calls.push(sim.send(from, entityOf(to, THREE), { c: `${from}-${to}` }, { how: 'wait' }));
      must(
        'every call is answered',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 1500),
      );
      must('each ran once', eventsOf(sim, 'start').length === 9);
      must(
        'nobody lost its lease',
        eventsOf(sim, 'node').every((e) => e.state !== 'lease-lost'),
      );
    },
  },
  {
    name: 'refused-petition',
    shows: 'a master that answers no more petitions now delays no message: the preferred node takes the entity at once',
    settings: { petitionsMax: 1, reconcileIntervalMs: 3000 },
    run(sim, must) {
      sim.start(...THREE);
      sim.run(2000);
      const calls = Array.from({ length: 12 }, (_, i) => sim.send('n3', `plain:${i}`, { c: `w${i}` }, { how: 'wait' }));
      must(
        'every call is answered long before a sweep',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 50, 5),
      );
      const refusals = eventsOf(sim, 'told').filter(({ message }) => message.kind === 'placed' && message.refusal !== undefined);
      must('some petitions were refused', refusals.length > 0);
    },
  },
  {
    name: 'withdrawn-in-backoff',
    shows: 'a message that is withdrawn while it waits for its next attempt holds up nothing behind it',
    settings: { backoffDelayMs: 4000, reconcileIntervalMs: 3000 },
    run(sim, must) {
      const entity = 'retried:a';
      const { other } = placedOnTwo(sim, entity);
      for (const isBehind of [true, false]) {
        const which = isBehind ? 'what waits behind it' : 'what comes after it';
        const failing = { c: `first-${isBehind}`, how: 'throw' } as const;
        const first = sim.send(other, entity, failing, { how: 'wait', onTimeout: 'withdraw', timeoutMs: 300 });
        sim.run(100);
        const send = (): Call => sim.send(other, entity, { c: `second-${isBehind}` }, { how: 'wait' });
        const before = isBehind ? send() : undefined;
        sim.run(250);
        must(`${which}: the first message is withdrawn`, endOf(sim, first) === 'withdrawn');
        const second = before ?? send();
        must(
          `${which} does not wait until the first would have been tried again`,
          sim.until(() => second.outcome === 'ok', 50, 5),
        );
      }
    },
  },
  {
    name: 'wake-before-the-answer',
    shows: 'a wake that overtakes the answer to the retry of the message is not forgotten',
    settings: { backoffDelayMs: 4000, reconcileIntervalMs: 3000, storeCallTimeoutMs: 400 },
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'retried:a');
      sim.slowStore(owner, 60);
      const first = sim.send(
        other,
        'retried:a',
        { c: 'first', how: 'throw' },
        { how: 'wait', onTimeout: 'withdraw', timeoutMs: 200 },
      );
      const second = sim.send(other, 'retried:a', { c: 'second' }, { how: 'wait' });
      must(
        'the first message is withdrawn',
        sim.until(() => endOf(sim, first) === 'withdrawn', 300, 1),
      );
      const retriedMs = eventsOf(sim, 'transition').find((e) => e.to === 'enqueued')?.atMs ?? 0;
      must('while the answer to its retry is on the way', sim.world.nowMs < retriedMs + 55);
      must(
        'the second one does not wait until the first would have been tried again',
        sim.until(() => second.outcome === 'ok', 400, 5),
      );
    },
  },
  {
    name: 'same-id-after-unknown',
    shows: 'a caller who does not know sends again under its own id, also elsewhere, and it counts once (E3, H15)',
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const job = { c: 'payment', amount: 100 };
      sim.conditions.replyLost = 1;
      const first = sim.send('n1', 'plain:a', job, { id: 'payment-1' });
      must(
        'the first call is told that nobody knows',
        sim.until(() => first.outcome !== 'open', 2000) && first.code === 'OUTCOME_UNKNOWN',
      );
      sim.conditions.replyLost = 0;
      sim.run(1500);
      const again = ['n2', 'n1'].map((node) => sim.send(node, 'plain:a', job, { id: 'payment-1', how: 'wait' }));
      must(
        'whoever sends it again gets its result',
        sim.until(() => again.every((c) => c.outcome === 'ok' && c.result === '100'), 2000),
      );
      must('it is in the log once, and ran once', eventsOf(sim, 'append').length === 1 && startedOn(sim, 'plain:a').length === 1);
    },
  },
  {
    name: 'end-of-what-was-replayed',
    shows: 'a late reply about a message is not taken for the end of its replay, which has the same id (I5; seed 9214771)',
    run(sim, must) {
      sim.start(...THREE);
      sim.run(1000);
      const entity = entityOf('n2', THREE);
      const job = { c: 'payment', amount: 100, ms: 1500, how: 'deaf' } as const;
      const call = () => sim.send('n3', entity, job, { id: 'payment-1', how: 'wait' });
      const first = call();
      sim.run(50);
      sim.cutStore('n2');
      sim.hold('n1', 'n3');
      must(
        'its owner is lost, and the caller reads that from the log',
        sim.until(() => first.outcome !== 'open', 3000) && first.code === 'INTERRUPTED',
      );
      must('it is replayed', sim.server.applyControl('operator', { op: 'replay', letter: '1', force: true }).ok);
      const second = call();
      sim.run(20);
      sim.release('n1', 'n3');
      sim.run(50);
      must('the reply about the first run has come', toldTo(sim, 'n3', 'reply').length === 1);
      must('and the call that waits for the replay goes on waiting', second.outcome === 'open');
      sim.healStore('n2');
      must(
        'until that has ended',
        sim.until(() => second.outcome === 'ok', 3000),
      );
    },
  },
  {
    name: 'calls-in-a-circle',
    shows: 'a chain that comes back to itself is refused at once; two that cross end by timeout, and nothing is left over (H24)',
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const there = asking('there', 'plain:b', asking('back', 'plain:a'));
      const chain = sim.send('n1', 'plain:a', { c: 'chain', ask: there }, { how: 'wait' });
      must(
        'a chain that comes back goes on at once, and the call back is not made',
        sim.until(() => chain.outcome === 'ok', 300) && eventsOf(sim, 'append').every((e) => e.call !== 'back'),
      );
      const crossing = [
        sim.send('n1', 'plain:a', { c: 'one', ms: 30, ask: asking('one.1', 'plain:b') }, { how: 'wait' }),
        sim.send('n2', 'plain:b', { c: 'two', ms: 30, ask: asking('two.1', 'plain:a') }, { how: 'wait' }),
      ];
      sim.run(1500);
      must(
        'two chains that cross wait for each other',
        crossing.every((c) => c.outcome === 'open'),
      );
      must(
        'until one gives up, and both end well',
        sim.until(() => crossing.every((c) => c.outcome === 'ok'), 1500),
      );
      sim.run(200);
      must('nothing is left', sim.depth === 0);
      const ran = [...startedOn(sim, 'plain:a'), ...startedOn(sim, 'plain:b')];
      const ends = eventsOf(sim, 'transition').filter((e) => e.to === 'withdrawn').length;
      must('what was given up was taken back, and did not run', ends > 0 && ran.length === 6 - ends);
    },
  },
  {
    name: 'withdrawn-before-it-left',
    shows: 'a caller that gives up before its message has left the node learns at once that it will not run (I5)',
    run(sim, must) {
      const entity = 'plain:a';
      const { other } = placedOnTwo(sim, entity);
      sim.conditions.requestLost = 1;
      // Two batches stay in flight, and the third message waits behind them.
      for (const c of ['flies-1', 'flies-2']) {
        sim.send(other, entity, { c });
        sim.run(2);
      }
      const call = sim.send(other, entity, { c: 'waits' }, { how: 'wait', onTimeout: 'withdraw', timeoutMs: 60 });
      must(
        'the call ends at its deadline',
        sim.until(() => call.outcome !== 'open', 100, 1),
      );
      must('with the withdrawal of its message', call.outcome === 'fail' && call.code === 'REPLY_TIMEOUT');
      sim.conditions.requestLost = 0;
      must(
        'the others run',
        sim.until(() => sim.depth === 0 && startedOn(sim, entity).length === 2, 2000),
      );
      must('and it never does', startedOn(sim, entity).join() === 'flies-1,flies-2');
    },
  },
  {
    name: 'reply-before-the-receipt',
    shows: 'a reply that comes before the log has answered the append ends the call as soon as it has (L4)',
    settings: { reconcileIntervalMs: 3000, storeCallTimeoutMs: 500 },
    run(sim, must) {
      const entity = 'plain:a';
      const { owner, other } = placedOnTwo(sim, entity);
      sim.send(owner, entity, { c: 'first', ms: 130 });
      sim.run(10);
      sim.slowStore(other, 100);
      const call = sim.send(other, entity, { c: 'second', ms: 1 }, { how: 'wait' });
      sim.run(180);
      must('the reply has come', toldTo(sim, other, 'reply').length > 0);
      must('while the append has no answer', call.outcome === 'open');
      must(
        'the caller does not wait for a sweep',
        sim.until(() => call.outcome === 'ok', 100, 5),
      );
    },
  },
  {
    name: 'refused-with-its-cause',
    shows: 'the error of a call whose message never left says what the store answered last',
    settings: { nodeTTLMs: 5000, enqueueTimeoutMs: 600 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      // Two batches stay in flight, and the third message waits behind them.
      sim.conditions.requestLost = 1;
      for (const c of ['flies-1', 'flies-2']) {
        sim.send('n1', 'plain:a', { c });
        sim.run(5);
      }
      const call = sim.send('n1', 'plain:a', { c: 'waits' });
      must('it is refused', sim.until(() => call.outcome !== 'open', 1000) && call.code === 'STORE_UNAVAILABLE');
      const { cause } = (call.error as AtomicQueuesError).details;
      must(`and the error says why (${cause})`, typeof cause === 'string' && cause.startsWith('no answer within'));
    },
  },
  {
    name: 'asleep-before-the-answer',
    shows: 'a process that stood still past a deadline reads the answers that have come before it gives its callers up',
    settings: { nodeTTLMs: 10_000, enqueueTimeoutMs: 500 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      for (let round = 1; round <= 8; round++) {
        const call = sim.send('n1', 'plain:a', { c: `r${round}` });
        must(
          'the log has the message',
          sim.until(() => eventsOf(sim, 'append').some((e) => e.call === call.name), 20, 0.05) && call.outcome === 'open',
        );
        sim.pause('n1');
        sim.run(1200);
        sim.resume('n1');
        sim.run(100);
        must(`round ${round}: its caller has the receipt (${call.code})`, call.outcome === 'ok');
      }
    },
  },
  {
    name: 'handed-over-as-it-is',
    shows: 'what a caller hands over for the handler reaches it as it is, if it runs in the same process',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const { handler } = optionsOf(sim, 'n1');
      const run = handler.run.bind(handler);
      const seen: unknown[] = [];
      handler.run = (delivery) => {
        seen.push(delivery.carried);
        return run(delivery);
      };
      const carried = { isAnObject: true };
      const { entity, job } = asking('carried', 'plain:a');
      const outgoing = { ...outgoingOf({ entity, job }, undefined), carried };
      void sim.node('n1').node?.enqueueAndWait(outgoing, { timeoutMs: 1000 });
      sim.run(50);
      must('the handler got the object', seen.length === 1 && seen[0] === carried);
      sim.send('n1', 'plain:a', { c: 'plain' });
      sim.run(50);
      must('and the next one none', seen.length === 2 && seen[1] === undefined);
    },
  },
  {
    name: 'checks-that-answer-later',
    shows:
      'a message whose check answers later keeps its place before those that come after it, and is not logged if the check fails',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const { node } = sim.node('n1');
      const codes: string[] = [];
      const check = (ms: number, wrong?: Error): Promise<void> =>
        new Promise((resolve, reject) => sim.world.after(ms, undefined, () => (wrong === undefined ? resolve() : reject(wrong))));
      const enqueue = (c: string, checked: Promise<void>): void => {
        const { entity, job } = asking(c, 'plain:a');
        node?.enqueue({ ...outgoingOf({ entity, job }, undefined), checked }).then(
          () => codes.push(c),
          (error: AtomicQueuesError) => codes.push(error.code),
        );
      };
      enqueue('first', check(60));
      enqueue('wrong', check(10, new AtomicQueuesError('SCHEMA_VIOLATION', 'wrong')));
      const last = sim.send('n1', 'plain:a', { c: 'last' });
      const other = sim.send('n1', 'plain:b', { c: 'other' });
      sim.run(40);
      must('another entity does not wait', other.outcome === 'ok');
      must('all of this one do', codes.length === 0 && last.outcome === 'open');
      sim.run(60);
      must(`then each has its answer (${codes})`, codes.join() === 'SCHEMA_VIOLATION,first' && last.outcome === 'ok');
      must('what was wrong has not run, and the others did in order', startedOn(sim, 'plain:a').join() === 'first,last');
    },
  },
  {
    name: 'more-known-results-than-an-answer-holds',
    shows: 'callers who ask at once for results that are known, and too large for one answer, need not wait for a sweep (L4)',
    settings: { reconcileIntervalMs: 5000 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const ask = (i: number): Call =>
        sim.send('n1', `plain:${i}`, { c: `large-${i}`, ms: 1, padResult: 400_000 }, { how: 'wait', id: `given-${i}` });
      const calls = Array.from({ length: 8 }, (_, i) => ask(i));
      must(
        'each has its result',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 500),
      );
      const again = Array.from({ length: 8 }, (_, i) => ask(i));
      must(
        'and has it again at once',
        sim.until(() => again.every((c) => c.outcome === 'ok'), 50, 5),
      );
      must('without another run', eventsOf(sim, 'start').length === 8);
    },
  },
];
