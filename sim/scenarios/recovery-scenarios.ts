/** Recovery after dead or slow nodes, after handlers that fail or never end, and after an outage of the store. */
import type { Answer, Begun } from '../../src/core/log/operations.js';
import { StoreCallError } from '../../src/ports/store.js';
import type { Cluster } from '../cluster.js';
import { endOf, entityOf, eventsOf, hasState, optionsOf, placed, placedOnTwo, type Scenario, startedOn } from './scenario.js';

const FOUR = ['n1', 'n2', 'n3', 'n4'];

const incarnationsOf = (sim: Cluster): number => eventsOf(sim, 'node').filter((e) => e.state === 'joined').length;

/** Returns a set that collects the hosts that send a take-over from now on, whether or not the store applies it. */
function recoverersOf(sim: Cluster): ReadonlySet<string> {
  const hosts = new Set<string>();
  const apply = sim.server.applyBatch.bind(sim.server);
  sim.server.applyBatch = (host, batch) => {
    if (batch.ops.some((op) => op.op === 'takeover')) hosts.add(host);
    return apply(host, batch);
  };
  return hosts;
}

/** Removes, from now on, the begun message from every answer to a begin or finish, as if it did not fit. */
function answersWithoutMessages(sim: Cluster): void {
  const apply = sim.server.applyBatch.bind(sim.server);
  const stripped = (answer: Answer): Answer => {
    const { message, next } = answer as { readonly message?: object; readonly next?: Begun };
    if (message !== undefined) return { ...answer, message: undefined } as Answer;
    return next === undefined ? answer : ({ ...answer, next: { ...next, message: undefined } } as Answer);
  };
  sim.server.applyBatch = (...args) => {
    const reply = apply(...args);
    return reply.status === 'applied' ? { ...reply, answers: reply.answers.map(stripped) } : reply;
  };
}

/** Starts two nodes that cannot reach each other. The owner of the entity gets its messages only by reading the log. */
function apartWithoutMessages(sim: Cluster, entity: string): { readonly owner: string; readonly other: string } {
  const { owner, other } = placedOnTwo(sim, entity);
  answersWithoutMessages(sim);
  sim.partition([owner], [other]);
  return { owner, other };
}

export const RECOVERY_SCENARIOS: readonly Scenario[] = [
  {
    name: 'several-recoverers',
    settings: { nodeTTLMs: 1000, leaseMarginMs: 100, leaderTTLMs: 1200 },
    shows: 'three nodes recover one dead owner at a time: what ran is one letter each, what waited runs once (E8)',
    run(sim, must) {
      sim.start(...FOUR);
      sim.run(1000);
      const entities = [0, 1, 2].map((i) => entityOf('n2', FOUR, i === 0 ? 'plain' : i === 1 ? 'fenced' : 'retried'));
      for (const entity of entities) sim.send('n2', entity, { c: `runs ${entity}`, ms: 5000 });
      sim.run(20);
      for (const entity of entities) for (const c of ['a', 'b']) sim.send('n1', entity, { c: `${c} ${entity}` });
      sim.run(60);
      // Slow store calls: each node has seen that n2 is dead before any of them has taken over.
      sim.delay(0, 95);
      const recoverers = recoverersOf(sim);
      sim.crash('n2');
      sim.gone.add('n2');
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 8000),
      );
      must(`more than one had a go (${[...recoverers].join()})`, recoverers.size > 1);
      must('there is one letter for each that ran', eventsOf(sim, 'letter').length === 3);
      must('each was taken over once', eventsOf(sim, 'own').filter((e) => e.how === 'takeover').length === 3);
      for (const entity of entities)
        must(
          `${entity} went on in order`,
          startedOn(sim, entity).join() === ['runs', 'a', 'b'].map((c) => `${c} ${entity}`).join(),
        );
    },
  },
  {
    name: 'late-end-and-replay',
    shows:
      'a handler that ends after its message was given up changes no verdict; its letter is replayed once, and not by chance (E5)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      const call = sim.send(other, 'plain:a', { c: 'first', ms: 2500, how: 'deaf' }, { how: 'wait' });
      sim.run(50);
      sim.cutStore(owner);
      must(
        'the caller is told that it was interrupted',
        sim.until(() => call.outcome !== 'open', 3000) && call.code === 'INTERRUPTED',
      );
      sim.healStore(owner);
      sim.run(3000);
      const [letter] = [...sim.server.state.letters.values()];
      must('its end is a note on the letter', letter?.late === 'completed' && endOf(sim, call) === 'interrupted');
      const replay = (force: boolean) => sim.server.applyControl('operator', { op: 'replay', letter: '1', force });
      const refused = replay(false);
      must('a replay is refused, since its effect may be there', !refused.ok && refused.code === 'NEEDS_FORCE');
      must('but can be forced', replay(true).ok);
      const again = replay(true);
      must('and only once', !again.ok && again.code === 'REPLAYED');
      must(
        'then it runs once more, as another message',
        sim.until(() => sim.depth === 0, 4000) && startedOn(sim, 'plain:a').join() === 'first,first',
      );
    },
  },
  {
    name: 'late-end-beside-its-caller',
    shows: 'a caller in the process whose handler ends late hears what the log says, and not what the handler returned (D6)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      const call = sim.send(owner, 'plain:a', { c: 'mine', ms: 2000, how: 'deaf' }, { how: 'wait', timeoutMs: 9000 });
      sim.run(50);
      sim.partition([owner], [other]);
      sim.cutStore(owner);
      sim.run(1450);
      must(
        'the log has given it up, and its caller does not know',
        endOf(sim, call) === 'interrupted' && call.outcome === 'open',
      );
      // Slow store calls: the handler ends before its node has read from the log how the message ended.
      sim.delay(0, 95);
      sim.healStore(owner);
      must(
        'the owner is back, and the handler of its past ends well',
        sim.until(() => eventsOf(sim, 'end').some((e) => e.seq === 2 && e.outcome === 'completed'), 1000, 1) &&
          hasState(sim, owner, 'lease-lost'),
      );
      must('that is not what the caller is told', call.outcome === 'open');
      must('but what the log says', sim.until(() => call.outcome !== 'open', 1000) && call.code === 'INTERRUPTED');
    },
  },
  {
    name: 'retry-keeps-its-place',
    shows: 'a message that waits for its next attempt stays the head, also when its owner dies meanwhile (H13)',
    settings: { backoffDelayMs: 600 },
    run(sim, must) {
      const entity = 'retried:r';
      const { owner, other } = placedOnTwo(sim, entity);
      const calls = ['r1', 'r2', 'r3'].map((c) => sim.send(other, entity, { c, how: c === 'r1' ? 'throw-first' : 'ok', ms: 20 }));
      sim.run(150);
      must('the first attempt has failed, and nothing overtakes it', startedOn(sim, entity).join() === 'r1');
      sim.crash(owner);
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 5000),
      );
      must('in order, the failed one first', startedOn(sim, entity).join() === 'r1,r1,r2,r3');
      must(
        'and well',
        calls.every((c) => endOf(sim, c) === 'completed'),
      );
    },
  },
  {
    name: 'common-outage',
    shows: 'after an outage of the store that is longer than a lease nobody is buried: none of them stood still (C5)',
    run(sim, must) {
      sim.start('n1', 'n2', 'n3');
      sim.run(1000);
      const { owner, other } = placed(sim, 'plain:a');
      const call = sim.send(owner, 'plain:a', { c: 'runs', ms: 1800, how: 'deaf' }, { how: 'wait' });
      sim.run(50);
      sim.conditions.storeDown = true;
      sim.run(1200);
      // The other nodes reach the store a moment before the owner does.
      sim.cutStore(owner);
      sim.conditions.storeDown = false;
      // A heartbeat of the owner may be lost and is given up only one call timeout later. All of it must fit into one node TTL.
      sim.run(60);
      sim.healStore(owner);
      must(
        'what ran has ended well',
        sim.until(() => call.outcome === 'ok', 3000),
      );
      const next = sim.send(other, 'plain:a', { c: 'next' }, { how: 'wait' });
      must(
        'and its entity goes on',
        sim.until(() => next.outcome === 'ok', 500),
      );
      must('each node is who it was', incarnationsOf(sim) === 3 && eventsOf(sim, 'own').every((e) => e.how !== 'takeover'));
    },
  },
  {
    name: 'handler-that-never-ends',
    shows: 'an entity whose handler never ends is reported as blocked, and holds up nobody else',
    settings: { handlerTimeoutMs: 400 },
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      sim.send(other, 'plain:a', { c: 'stuck', how: 'dead' });
      const behind = sim.send(other, 'plain:a', { c: 'behind' });
      must(
        'it is reported',
        sim.until(() => eventsOf(sim, 'blocked').some((e) => e.node === owner && e.entity === 'plain:a'), 1000),
      );
      const calls = Array.from({ length: 8 }, (_, i) => sim.send(owner, `plain:other-${i}`, { c: `o${i}` }, { how: 'wait' }));
      must(
        'others are served at once',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 500),
      );
      sim.run(3000);
      must('nothing was started beside it', startedOn(sim, 'plain:a').join() === 'stuck' && endOf(sim, behind) === undefined);
      sim.restart(owner);
      must(
        'its process restarted, the entity goes on',
        sim.until(() => endOf(sim, behind) === 'completed', 4000),
      );
    },
  },
  {
    name: 'handler-of-a-former-incarnation',
    shows: 'while a handler of a dead incarnation still runs, its process does not take the entity back; another one does (C6)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'fenced:a');
      sim.send(owner, 'fenced:a', { c: 'deaf', ms: 6000, how: 'deaf' });
      sim.run(50);
      sim.cutStore(owner);
      sim.run(1500);
      sim.healStore(owner);
      must(
        'the owner is back',
        sim.until(() => hasState(sim, owner, 'lease-lost') && sim.node(owner).node?.status().state === 'running', 2000),
      );
      const next = sim.send(owner, 'fenced:a', { c: 'next' }, { how: 'wait' });
      must(
        'its message is run by the other',
        sim.until(() => next.outcome === 'ok', 2500) && eventsOf(sim, 'start').find((e) => e.call === 'next')?.node === other,
      );
      must(
        'while the old handler still runs',
        eventsOf(sim, 'end').every((e) => e.seq !== 2 || e.node !== owner),
      );
      sim.run(6000);
      must('whose write is refused', sim.bank.account('fenced:a').balance === 1);
    },
  },
  {
    name: 'owner-finds-its-own-work',
    shows: 'the sweep of an owner finds a message whose wake was lost, with no help of a master (I4, L1)',
    settings: { idleTimeoutMs: 2500 },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1500);
      const entity = entityOf('n2', ['n1', 'n2']);
      const first = sim.send('n2', entity, { c: 'first' }, { how: 'wait' });
      must(
        'n2 owns the entity',
        sim.until(() => first.outcome === 'ok', 500) && eventsOf(sim, 'own').every((e) => e.entity !== entity || e.node === 'n2'),
      );
      sim.partition(['n1'], ['n2']);
      const call = sim.send('n1', entity, { c: 'unheard' });
      must(
        'it runs after two sweeps at the latest',
        sim.until(() => endOf(sim, call) === 'completed', 700),
      );
    },
  },
  {
    name: 'begun-without-its-message',
    shows: 'a message that the log has begun in an answer that had no room for it is read and run',
    run(sim, must) {
      const { other } = apartWithoutMessages(sim, 'plain:a');
      const calls = ['large-1', 'large-2'].map((c) => sim.send(other, 'plain:a', { c, ms: 20 }));
      must(
        'both messages run, which their owner has not heard of',
        sim.until(() => calls.every((c) => endOf(sim, c) === 'completed'), 1500),
      );
      must('once each, in order', startedOn(sim, 'plain:a').join() === 'large-1,large-2');
    },
  },
  {
    name: 'fence-changed-while-it-reads',
    shows: 'an owner that reads a message which the log has begun, and finds another fence there, closes',
    keepsLog: true,
    stays: true,
    run(sim, must) {
      const { owner, other } = apartWithoutMessages(sim, 'plain:a');
      sim.send(other, 'plain:a', { c: 'large', ms: 20 });
      const record = sim.server.state.entities.get('plain:a');
      must(
        'the log has begun the message',
        sim.until(() => record?.running !== undefined, 1500, 0.05),
      );
      // The store has lost the record of the claim and holds an older one.
      if (record !== undefined) record.fence--;
      sim.storeLost = true;
      sim.run(1000);
      must('the owner has closed', hasState(sim, owner, 'store-lost'));
      must('and has not run the message', startedOn(sim, 'plain:a').length === 0);
    },
  },
  {
    name: 'nothing-gets-through',
    shows:
      'a node whose steps do not get through while its heartbeats do gives itself up, so that others run what it owns; an idle one stays',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      sim.run(15_000);
      must('neither has given itself up while it was idle', !['n1', 'n2'].some((name) => hasState(sim, name, 'lease-lost')));
      const { store } = optionsOf(sim, owner);
      const apply = store.apply.bind(store);
      let isCut = true;
      store.apply = (batch, patience) =>
        isCut ? Promise.reject(new StoreCallError('the link takes small calls only', false)) : apply(batch, patience);
      const call = sim.send(owner, 'plain:a', { c: 'c1' });
      // Shorter than the patience of the node: 48 store calls (STALL_CALLS in src/runtime/progress.ts) of 200 ms.
      sim.run(8000);
      must('it is patient', !hasState(sim, owner, 'lease-lost'));
      must(
        'and then it gives itself up',
        sim.until(() => hasState(sim, owner, 'lease-lost'), 3000),
      );
      must('its caller is not left without an answer', call.outcome !== 'open');
      isCut = false;
      const next = sim.send(other, 'plain:a', { c: 'c2' }, { how: 'wait' });
      must(
        'the entity goes on',
        sim.until(() => next.outcome === 'ok', 2000),
      );
      must(
        'and so does the node',
        sim.until(() => sim.node(owner).node?.status().state === 'running', 2000),
      );
    },
  },
];
