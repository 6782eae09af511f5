/** The store restarts with an older state. A node that remembers a lost write closes the store to the other nodes. */
import { StoreCallError } from '../../src/ports/store.js';
import type { Cluster } from '../cluster.js';
import { eventsOf, hasState, type Must, masterOf, optionsOf, type Scenario, startedOn } from './scenario.js';

const A = 'plain:a';

/** Starts two nodes whose heartbeats are half a period apart. */
function startApart(sim: Cluster): void {
  sim.start('n1');
  sim.run(50);
  sim.start('n2');
  sim.run(1500);
}

/** Sends three messages from n1 and lets each of them end. */
function sendThree(sim: Cluster): void {
  for (const c of ['t1', 't2', 't3']) {
    sim.send('n1', A, { c });
    sim.run(100);
  }
}

function startAndSendThree(sim: Cluster): void {
  sim.start('n1');
  sim.run(500);
  sendThree(sim);
}

/** Drops the store's steps after `kept`, which n1 remembers. n2 evicts n1 by the remaining state before n1 can call again. */
function losesAndIsEvicted(sim: Cluster, must: Must, kept: number): void {
  const { incarnation } = sim.node('n1');
  sim.cutStore('n1');
  sim.storeLost = true;
  sim.server.forgetTail(kept);
  must(
    'it is evicted',
    sim.until(() => sim.server.state.members.get(incarnation)?.dead !== false, 3000),
  );
  must('n2 has not noticed a loss', !hasState(sim, 'n2', 'store-lost'));
  sim.healStore('n1');
  sim.run(2500);
  must('it has noticed', hasState(sim, 'n1', 'store-lost'));
  must('the other has closed too', hasState(sim, 'n2', 'closed'));
}

/** Makes the batches of that node fail in the script with the text that `why` returns, and write nothing. No text: no failure. */
function failsFor(sim: Cluster, name: string, why: () => string | undefined): void {
  const { store } = optionsOf(sim, name);
  const apply = store.apply.bind(store);
  store.apply = (batch, patience) => {
    const text = why();
    if (text === undefined) return apply(batch, patience);
    return Promise.reject(new StoreCallError(text, false, false, undefined, 'broken'));
  };
}

export const LOSS_SCENARIOS: readonly Scenario[] = [
  {
    name: 'store-restarts-empty',
    shows: 'a store that comes back empty is noticed by every living node; the group closes and starts nothing',
    stays: true,
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      sim.send('n1', A, { c: 'before', ms: 500 });
      sim.run(20);
      sim.storeLost = true;
      sim.server.restartEmpty();
      sim.run(1000);
      for (const node of ['n1', 'n2'])
        must(`${node} has noticed and closed`, hasState(sim, node, 'store-lost') && hasState(sim, node, 'closed'));
      const late = sim.send('n2', A, { c: 'late' });
      sim.run(100);
      must(`and takes nothing more (${late.code})`, late.code === 'STORE_LOST' && !startedOn(sim, A).includes('late'));
    },
  },
  {
    name: 'tail-lost-silently',
    shows: 'an owner behind whose acknowledged batches the store has fallen notices by the gap, and closes',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      startAndSendThree(sim);
      const applied = sim.server.steps;
      sim.storeLost = true;
      sim.server.forgetTail(applied - 6);
      sim.send('n1', A, { c: 't4' });
      sim.run(1000);
      must('it has closed', hasState(sim, 'n1', 'store-lost'));
      must('and has run nothing twice', new Set(startedOn(sim, A)).size === startedOn(sim, A).length);
    },
  },
  {
    name: 'back-before-a-join',
    shows: 'a store that comes back from before a join says "unknown" to that node, which closes the store to the others',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1');
      sim.run(1000);
      const joined = sim.server.steps;
      sim.start('n2');
      sim.run(1000);
      sim.storeLost = true;
      sim.server.forgetTail(joined);
      sim.run(1500);
      must('the node without a join has noticed', hasState(sim, 'n2', 'store-lost'));
      must('the other has closed too', hasState(sim, 'n1', 'store-lost'));
    },
  },
  {
    name: 'number-given-twice',
    shows: 'of two living processes with one number, the one whose join is gone is refused, and the newcomer has no part of it',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1');
      sim.run(1000);
      const joined = sim.server.steps;
      sim.start('n2');
      sim.run(1000);
      // The heartbeats of n2 do not arrive, so only a batch of n2 can show the loss.
      sim.cutStore('n2');
      sim.server.forgetTail(joined);
      sim.start('n3');
      sim.run(300);
      must('n3 has the number of n2', sim.node('n3').incarnation === sim.node('n2').incarnation);
      sim.storeLost = true;
      sim.healStore('n2');
      const call = sim.send('n2', A, { c: 'w1' });
      sim.run(2000);
      must('n2 has noticed', hasState(sim, 'n2', 'store-lost'));
      must('no receipt for what is not in the log', call.outcome !== 'ok' || eventsOf(sim, 'append').length > 0);
    },
  },
  {
    name: 'former-generation',
    shows: 'a process of a former generation wakes beside the member that has its number now: it closes itself, and nothing else',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1');
      sim.run(1000);
      sim.pause('n1');
      // An operator deletes the rest of the store and opens it again.
      sim.server.forgetTail(0);
      sim.start('n2');
      sim.run(1000);
      must('n2 has the number of n1', sim.node('n2').incarnation === sim.node('n1').incarnation);
      sim.resume('n1');
      const calls = { n1: sim.send('n1', A, { c: 'w1' }), n2: sim.send('n2', A, { c: 'w2' }, { how: 'wait' }) };
      sim.run(2500);
      must('n1 has noticed', hasState(sim, 'n1', 'store-lost'));
      must(
        'nothing of it is in the log',
        calls.n1.outcome !== 'ok' && eventsOf(sim, 'append').every(({ call }) => call === 'w2'),
      );
      must('n2 works', calls.n2.outcome === 'ok');
      must('and has not heard of it', !hasState(sim, 'n2', 'closed') && !hasState(sim, 'n2', 'suspended'));
    },
  },
  {
    name: 'evicted-by-what-is-left',
    shows:
      'a store that lost a heartbeat and evicts the node by the one before reports the loss to it, and not only the eviction',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      startApart(sim);
      const heartbeats = (): number | undefined => sim.server.state.members.get(sim.node('n1').incarnation)?.heartbeat;
      const first = heartbeats();
      let before = 0;
      const isSent = (): boolean => {
        if (heartbeats() !== first) return true;
        before = sim.server.steps;
        return false;
      };
      must('n1 has sent a heartbeat', sim.until(isSent, 1000, 1));
      sim.run(5);
      losesAndIsEvicted(sim, must, before);
    },
  },
  {
    name: 'evicted-after-a-lost-batch',
    shows: 'a node that is evicted after the store lost a batch of it, and no heartbeat, learns of the loss when it joins again',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      startApart(sim);
      sim.run(30);
      const before = sim.server.steps;
      const call = sim.send('n1', A, { c: 'lost' });
      must(
        'it has its receipt',
        sim.until(() => call.outcome === 'ok', 100, 1),
      );
      losesAndIsEvicted(sim, must, before);
    },
  },
  {
    name: 'tail-lost-newcomer',
    shows: 'one node remembers what the store forgot: it closes the store, to a node that lost nothing and to one that comes',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1500);
      sendThree(sim);
      const before = startedOn(sim, A);
      sim.server.forgetTail(sim.server.steps - 8);
      sim.send('n1', A, { c: 't4' });
      sim.run(200);
      sim.start('n3');
      sim.storeLost = true;
      sim.run(2500);
      must('who had it acknowledged has noticed', hasState(sim, 'n1', 'store-lost'));
      for (let i = 0; i < 8; i++) sim.send('n2', `plain:x${i}`, { c: `x${i}` });
      sim.run(1000);
      must('the other has closed too', hasState(sim, 'n2', 'closed'));
      must('the newcomer was not let in', hasState(sim, 'n3', 'start-failed'));
      must('nothing that had begun began again', startedOn(sim, A).length === new Set([...before, ...startedOn(sim, A)]).size);
    },
  },
  {
    name: 'fence-changed-in-the-store',
    shows: 'an owner whose fence the log does not hold any more is refused at the end of its handler, and closes',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      startAndSendThree(sim);
      const record = sim.server.state.entities.get(A);
      must('n1 owns the entity', record?.owner === sim.node('n1').incarnation);
      // The store has lost the record of the claim and holds an older one.
      if (record !== undefined) record.fence--;
      sim.storeLost = true;
      sim.send('n1', A, { c: 'before', ms: 50 });
      sim.send('n1', A, { c: 'behind', ms: 50 });
      sim.run(1000);
      must('it has closed', hasState(sim, 'n1', 'store-lost'));
      must('and has not begun the message behind', !startedOn(sim, A).includes('behind'));
    },
  },
  {
    name: 'script-that-fails-in-itself',
    shows:
      'a node whose batch makes the script of the store fail in the same way each time closes, and does not send it for ever',
    stays: true,
    run(sim, must) {
      startAndSendThree(sim);
      let tries = 0;
      failsFor(sim, 'n1', () => {
        tries++;
        return 'a field of the entity is missing';
      });
      sim.storeLost = true;
      const call = sim.send('n1', A, { c: 'w1' });
      must(
        'it has closed before the deadline of its caller',
        sim.until(() => hasState(sim, 'n1', 'store-lost'), 900),
      );
      must(`after three tries (${tries})`, tries === 3);
      must('and its caller gets no receipt', call.outcome !== 'ok');
    },
  },
  {
    name: 'script-that-fails-otherwise',
    shows: 'a batch that fails in another way each time is sent again until the store takes it',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      let tries = 0;
      failsFor(sim, 'n1', () => (++tries <= 6 ? `failure ${tries % 2}` : undefined));
      const call = sim.send('n1', A, { c: 'w1' }, { how: 'wait', timeoutMs: 6000 });
      must(
        'the message runs',
        sim.until(() => call.outcome === 'ok', 5000),
      );
      must('after six failures', tries > 6);
      must('and the node lives on', !hasState(sim, 'n1', 'store-lost'));
    },
  },
  {
    name: 'former-generation-without-its-join',
    shows: 'a process of a former generation closes itself also if the store remembers no join under its number any more',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1');
      // The next heartbeat of n1 is due before its next membership snapshot, which would show it another generation.
      sim.run(1060);
      const { incarnation } = sim.node('n1');
      sim.pause('n1');
      // An operator deletes the rest of the store and opens it again.
      sim.server.forgetTail(0);
      for (const isLast of [false, false, true]) {
        sim.start('n2');
        sim.run(1000);
        if (!isLast) sim.stop('n2');
        sim.run(500);
      }
      must('n2 has a later number by now', sim.node('n2').incarnation > incarnation);
      // The state as after 1024 more joins.
      sim.server.state.joins.delete(incarnation);
      sim.resume('n1');
      const call = sim.send('n1', A, { c: 'w1' });
      sim.run(2500);
      must('n1 has noticed', hasState(sim, 'n1', 'store-lost'));
      must('nothing of it is in the log', call.outcome !== 'ok' && eventsOf(sim, 'append').length === 0);
      must('n2 has not heard of it', !hasState(sim, 'n2', 'closed') && !hasState(sim, 'n2', 'suspended'));
    },
  },
  {
    name: 'epoch-that-was-given',
    shows: 'a master whose store comes back from just before its term notices by the next heartbeat, and closes',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      sim.start('n1');
      must(
        'the store names n1',
        sim.until(() => eventsOf(sim, 'epoch').some(({ what }) => what === 'lead'), 3000, 0.05),
      );
      const before = sim.server.steps - 1;
      must(
        'n1 has read it, and the store has done nothing else for it',
        sim.until(() => masterOf(sim) === 'n1', 3, 0.05) && sim.server.steps === before + 1,
      );
      sim.storeLost = true;
      sim.server.forgetTail(before);
      sim.run(400);
      must('it has closed', hasState(sim, 'n1', 'store-lost'));
    },
  },
  {
    name: 'rejected-as-the-node-closes',
    shows: 'callers whose messages have not left learn at once that their node has closed, and not at their deadlines',
    settings: { enqueueTimeoutMs: 3000 },
    stays: true,
    run(sim, must) {
      startAndSendThree(sim);
      sim.conditions.requestLost = 1;
      for (const c of ['flies-1', 'flies-2']) {
        sim.send('n1', A, { c });
        sim.run(5);
      }
      const call = sim.send('n1', A, { c: 'waits' });
      sim.run(5);
      sim.storeLost = true;
      sim.server.restartEmpty();
      sim.conditions.requestLost = 0;
      must(
        'the node has closed',
        sim.until(() => hasState(sim, 'n1', 'store-lost'), 1000, 1),
      );
      must(`the caller gets that as the reason (${call.code})`, call.code === 'STORE_LOST');
      sim.node('n1').node?.refuseNew();
      const late = sim.send('n1', A, { c: 'late' });
      sim.run(1);
      must('and so is a later one, also if the process is about to end', late.code === 'STORE_LOST');
    },
  },
  {
    name: 'tries-become-rarer',
    shows: 'a batch that finds no store is sent again less and less often',
    settings: { nodeTTLMs: 10_000, enqueueTimeoutMs: 10_000 },
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const { store } = optionsOf(sim, 'n1');
      const { control } = store;
      let tries = 0;
      let isAway = true;
      failsFor(sim, 'n1', () => (isAway ? `away ${tries++}` : undefined));
      store.control = () => Promise.reject(new StoreCallError('away', false));
      const call = sim.send('n1', A, { c: 'w1' });
      sim.run(3000);
      must(`a few times in three seconds (${tries})`, tries >= 5 && tries <= 10);
      isAway = false;
      store.control = control;
      must(
        'and once more when the store is back',
        sim.until(() => call.outcome === 'ok', 1500),
      );
    },
  },
  {
    name: 'closed-as-it-rejoins',
    shows:
      'a node that was evicted and finds the store closed when it joins again closes, and its callers get that as the reason',
    stays: true,
    run(sim, must) {
      startApart(sim);
      sim.cutStore('n1');
      sim.run(1500);
      sim.healStore('n1');
      must(
        'it has learnt of its eviction',
        sim.until(() => hasState(sim, 'n1', 'lease-lost'), 1000, 0.05),
      );
      const call = sim.send('n1', A, { c: 'w1' });
      const { generation } = sim.server.state;
      must('the store is closed before it is back', sim.server.applyControl('n2', { op: 'closeStore', generation }).ok);
      sim.storeLost = true;
      sim.run(50);
      must('it has noticed', hasState(sim, 'n1', 'store-lost') && hasState(sim, 'n1', 'closed'));
      must(`and its caller gets that as the reason (${call.code})`, call.code === 'STORE_LOST');
    },
  },
];
