/** Routine operations: a new version beside the old one, and restarts of one node after the other. */
import type { Call } from '../client.js';
import { endOf, entityOf, eventsOf, placedOnTwo, type Scenario, startedOn, toldTo } from './scenario.js';

const FOUR = ['n1', 'n2', 'n3', 'n4'];

export const DEPLOY_SCENARIOS: readonly Scenario[] = [
  {
    name: 'rolling-deploy',
    shows: 'a message that the old version does not declare is handed on to a node that does, and keeps its place (H22)',
    run(sim, must) {
      for (const name of ['n1', 'n2']) sim.add({ name, startMs: 0, group: 'default', names: ['deposit', 'read'] }).start();
      sim.start('n3');
      sim.run(1500);
      const entity = entityOf('n1', ['n1', 'n2', 'n3']);
      const calls = (['deposit', 'withdraw', 'deposit', 'withdraw', 'read'] as const).map((op, i) =>
        sim.send('n3', entity, { c: `d${i}`, op, amount: 10, ms: 40 }, { how: 'wait' }),
      );
      sim.run(20);
      must('it begins on the old version', eventsOf(sim, 'start').at(-1)?.node === 'n1');
      must(
        'every call is answered',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 2000),
      );
      must('in the order of the calls', startedOn(sim, entity).join() === calls.map((c) => c.name).join());
      const wrong = eventsOf(sim, 'start').filter((e) => e.op === 'withdraw' && e.node !== 'n3');
      must('the new message runs on the new version only', wrong.length === 0);
      const claims = eventsOf(sim, 'own').filter((e) => e.how === 'claim' && e.entity === entity).length;
      must(`and nobody plays ball with the entity (${claims} claims)`, claims <= 3);
    },
  },
  {
    name: 'undeclared-everywhere',
    shows: 'a message that no living node declares waits, with what came after it, for a node that does',
    run(sim, must) {
      for (const name of ['n1', 'n2']) sim.add({ name, startMs: 0, group: 'default', names: ['deposit', 'read'] }).start();
      sim.start('n3');
      sim.run(1500);
      sim.send('n3', 'plain:a', { c: 'first', op: 'deposit', ms: 200 });
      const unknown = sim.send('n3', 'plain:a', { c: 'unknown', op: 'withdraw' });
      const last = sim.send('n3', 'plain:a', { c: 'last', op: 'deposit' });
      sim.run(20);
      sim.crash('n3');
      sim.gone.add('n3');
      const other = sim.send('n1', 'plain:b', { c: 'other' });
      sim.run(6000);
      must('it waits, and is no dead letter', endOf(sim, unknown) === undefined && endOf(sim, last) === undefined);
      must('other entities go on', endOf(sim, other) === 'completed');
      const claims = eventsOf(sim, 'own').filter((e) => e.how === 'claim' && e.entity === 'plain:a').length;
      must(`and it does not go round and round (${claims} claims)`, claims <= 4);
      sim.start('n4');
      must(
        'a node that declares it comes, and all of it ends',
        sim.until(() => sim.depth === 0, 4000),
      );
      must('in order', startedOn(sim, 'plain:a').join() === 'first,unknown,last');
    },
  },
  {
    name: 'handed-on-past-avoiders',
    shows: 'a message that one node declares is handed on past all that have given it up before, once that node can be reached',
    run(sim, must) {
      const older = { startMs: 0, group: 'default', names: ['deposit', 'read'] as const };
      for (const name of FOUR) {
        if (name === 'n3') sim.start(name);
        else sim.add({ name, ...older }).start();
        sim.run(100);
      }
      sim.run(1500);
      const entity = entityOf('n1', FOUR);
      sim.partition(
        ['n3'],
        FOUR.filter((name) => name !== 'n3'),
      );
      const call = sim.send('n1', entity, { c: 'c1', op: 'withdraw' });
      sim.run(1500);
      const claims = eventsOf(sim, 'own').filter((e) => e.how === 'claim' && e.entity === entity);
      must('each of the others has given it up', new Set(claims.map(({ node }) => node)).size === 3);
      must('and none has it twice', claims.length === 3);
      must('it waits', endOf(sim, call) === undefined);
      sim.healLinks();
      must(
        'it runs within two sweeps',
        sim.until(() => endOf(sim, call) === 'completed', 700),
      );
    },
  },
  {
    name: 'rolling-restart',
    shows: 'every node is restarted in turn under load: nothing fails, nothing is left pointing at the dead (D7, H28)',
    run(sim, must) {
      sim.start(...FOUR);
      sim.run(1500);
      const entities = Array.from({ length: 12 }, (_, i) => `plain:${i}`);
      const calls: Call[] = [];
      const round = (tag: string, down: string): void => {
        entities.forEach((entity, i) => {
          const from = FOUR[i % 4] === down ? (FOUR[(i + 1) % 4] as string) : (FOUR[i % 4] as string);
          calls.push(sim.send(from, entity, { c: `${tag}-${i}`, ms: 20 }, { how: 'wait' }));
        });
      };
      for (const node of FOUR) {
        round(`before-${node}`, '');
        sim.run(10);
        sim.stop(node);
        round(`during-${node}`, node);
        sim.run(600);
        sim.start(node);
        sim.run(600);
      }
      round('after', '');
      must(
        'every call is answered',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 3000),
      );
      must('nothing died', eventsOf(sim, 'letter').length === 0);
      must(
        'nobody was buried',
        eventsOf(sim, 'own').every((e) => e.how !== 'takeover'),
      );
    },
  },
  {
    name: 'declared-by-others',
    shows: 'a node that does not know a message asks who is alive: it accepts what a newcomer declares, and refuses the rest',
    run(sim, must) {
      for (const name of ['n1', 'n2']) sim.add({ name, startMs: 0, group: 'default', names: ['deposit', 'read'] }).start();
      sim.run(1500);
      const early = sim.send('n1', 'plain:a', { c: 'early', op: 'withdraw' });
      must(
        'a message that no node declares is refused at once',
        sim.until(() => early.outcome === 'fail', 50, 5) && early.code === 'UNKNOWN_MESSAGE',
      );
      sim.start('n3');
      must(
        'a node joins that declares it',
        sim.until(() => sim.server.state.members.size === 3, 1000, 0.1),
      );
      const known = sim.send('n1', 'plain:a', { c: 'known', op: 'withdraw' });
      must(
        'then it is accepted at once',
        sim.until(() => known.outcome === 'ok', 50, 5),
      );
      must(
        'and runs',
        sim.until(() => endOf(sim, known) === 'completed', 1500),
      );
      sim.stop('n3');
      sim.gone.add('n3');
      sim.run(500);
      const late = sim.send('n1', 'plain:a', { c: 'late', op: 'withdraw' });
      must(
        'it is refused again after that node has left',
        sim.until(() => late.outcome === 'fail', 50, 5) && late.code === 'UNKNOWN_MESSAGE',
      );
    },
  },
  {
    name: 'call-while-draining',
    shows: 'a node that stops refuses new calls definitely, and ends what runs',
    run(sim, must) {
      const { owner } = placedOnTwo(sim, 'plain:a');
      const runs = sim.send(owner, 'plain:a', { c: 'runs', ms: 300 });
      sim.run(50);
      sim.stop(owner);
      const late = sim.send(owner, 'plain:b', { c: 'late' });
      sim.run(50);
      must('the new call is refused', late.outcome === 'fail' && late.code === 'SHUTTING_DOWN');
      sim.run(500);
      must('the handler has ended', endOf(sim, runs) === 'completed');
    },
  },
  {
    name: 'stop-with-a-lost-reply',
    shows: 'a node that stops leaves only after it knows what became of the messages that it has sent to the log',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      must('the entity belongs to the other node', owner !== other);
      sim.conditions.replyLost = 1;
      const call = sim.send(other, 'plain:a', { c: 'sent' });
      sim.run(5);
      sim.conditions.replyLost = 0;
      sim.stop(other);
      must('its caller gets the receipt', sim.until(() => call.outcome !== 'open', 900) && call.outcome === 'ok');
    },
  },
  {
    name: 'idle-entity-is-not-handed-over',
    shows: 'a node that stops hands over entities with work, and only releases those without',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, 'plain:a');
      sim.stop(owner);
      sim.gone.add(owner);
      sim.run(500);
      must(
        'it has released the entity',
        eventsOf(sim, 'own').some((e) => e.how === 'release' && e.entity === 'plain:a'),
      );
      must('no node was woken for it', toldTo(sim, other, 'wake').length === 0);
      must(
        'and no node has claimed it',
        eventsOf(sim, 'own').every((e) => e.how !== 'claim' || e.node === owner),
      );
    },
  },
  {
    name: 'call-from-a-draining-node',
    shows: 'what a handler of a draining node asks of an entity that would be placed there runs elsewhere, and at once',
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const names = ['n1', 'n2'];
      const [asking, asked] = [entityOf('n1', names), entityOf('n1', names, 'fenced')];
      const ask = { entity: asked, job: { c: 'inner', op: 'deposit', amount: 1, ms: 5, how: 'ok' } } as const;
      const outer = sim.send('n1', asking, { c: 'outer', ms: 300, ask }, { how: 'wait' });
      sim.run(50);
      sim.stop('n1');
      must(
        'the inner call runs',
        sim.until(() => startedOn(sim, asked).length === 1, 250, 5),
      );
      must('on the node that stays', eventsOf(sim, 'start').at(-1)?.node === 'n2');
      must(
        'and the outer one is answered',
        sim.until(() => outer.outcome === 'ok', 400),
      );
    },
  },
];
