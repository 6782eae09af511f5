/** Leadership: failover, rebuild, hand-over, late commands, and unreachable masters. */

import { placeOf } from '../../src/core/placement/rendezvous.js';
import type { Cluster } from '../cluster.js';
import { entityOf, eventsOf, hasState, masterOf, optionsOf, reportsOf, type Scenario, startedOn, toldTo } from './scenario.js';

const THREE = ['n1', 'n2', 'n3'];

/** Starts three nodes and waits until the lowest serverId leads. */
function led(sim: Cluster): void {
  sim.start(...THREE);
  if (!sim.until(() => masterOf(sim) === 'n1', 3000)) throw new Error('n1 does not lead');
  sim.run(300);
}

const epochsOf = (sim: Cluster): number[] =>
  eventsOf(sim, 'epoch')
    .filter((e) => e.what === 'lead')
    .map((e) => e.epoch);

const isFollowedBy = (sim: Cluster, node: string, epoch: number): boolean =>
  eventsOf(sim, 'epoch').some((e) => e.node === node && e.what === 'accept' && e.epoch === epoch);

export const MASTER_SCENARIOS: readonly Scenario[] = [
  {
    name: 'failover',
    shows: 'when the master dies, the lowest of the others leads under the next epoch, and work goes on meanwhile (H20, H21)',
    golden: true,
    run(sim, must) {
      led(sim);
      sim.crash('n1');
      sim.gone.add('n1');
      const calls = ['n1', 'n2', 'n3'].map((place) =>
        sim.send('n3', entityOf(place, THREE), { c: `of-${place}` }, { how: 'wait' }),
      );
      must(
        'the next one leads',
        sim.until(() => masterOf(sim) === 'n2', 3000),
      );
      must('under the next epoch, and it is the second in all', epochsOf(sim).join() === '1,2');
      must(
        'all calls are answered',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 1000),
      );
      const [begun] = eventsOf(sim, 'start').filter((e) => e.call === 'of-n3');
      const [lead] = eventsOf(sim, 'node').filter((e) => e.node === 'n2' && e.state === 'leading');
      must('what needs no master did not wait for one', (begun?.atMs ?? Infinity) < (lead?.atMs ?? 0));
    },
  },
  {
    name: 'lapse-by-a-jump',
    shows:
      'a master whose record has lapsed because the clock of the store jumped leads under a new epoch, and commands under it (I6)',
    run(sim, must) {
      led(sim);
      sim.server.jumpMs += 10_000;
      must(
        'it is named again, under the next epoch',
        sim.until(() => epochsOf(sim).join() === '1,2', 1000, 10),
      );
      sim.run(300);
      const from = eventsOf(sim, 'told').length;
      const entities = THREE.flatMap((place) => [entityOf(place, THREE, 'fenced'), entityOf(place, THREE, 'retried')]);
      const calls = entities.map((entity, i) => sim.send('n2', entity, { c: `w${i}` }, { how: 'wait' }));
      sim.until(() => calls.every((c) => c.outcome === 'ok'), 1000);
      const commands = eventsOf(sim, 'told')
        .slice(from)
        .map(({ message }) => message)
        .filter((m) => m.kind === 'assign');
      must('it places entities', commands.length > 0);
      must(
        'under the new epoch only',
        commands.every((m) => m.epoch === 2),
      );
    },
  },
  {
    name: 'store-clock-set-back-before-an-election',
    shows: 'who joined before the clock of the store was set back leads as soon as anybody does (found by seed 10009482)',
    run(sim, must) {
      led(sim);
      sim.server.jumpMs -= 60_000;
      sim.run(300);
      sim.crash('n1');
      sim.gone.add('n1');
      must(
        'the next one leads',
        sim.until(() => masterOf(sim) === 'n2', 3000),
      );
    },
  },
  {
    name: 'term-over-when-granted',
    shows: 'a node that stood still while the store named it master, and reads that after the term, gives no command (I6)',
    run(sim, must) {
      sim.start(...THREE);
      must(
        'the store names n1',
        sim.until(() => eventsOf(sim, 'epoch').some(({ what }) => what === 'lead'), 3000, 1),
      );
      must('n1 has not read it', masterOf(sim) === undefined);
      sim.pause('n1');
      sim.run(1000);
      sim.resume('n1');
      sim.run(1000);
      must(
        'n1 commands nothing under it',
        eventsOf(sim, 'told').every(({ message }) => !('epoch' in message) || message.epoch > 1),
      );
    },
  },
  {
    name: 'late-report',
    shows: 'a late copy of an earlier report leaves no node listed as taking no new work (L1)',
    run(sim, must) {
      led(sim);
      const { incarnation = 0 } = sim.nodes.get('n2') ?? {};
      const { generation, members } = sim.server.state;
      const { token = '' } = members.get(incarnation) ?? {};
      const isListed = (): boolean => members.get(incarnation)?.eligible === true;
      const report = { op: 'report', generation, incarnation, token, eligible: false, unreachable: [] } as const;
      must('the copy is applied', sim.server.applyControl('n2', report).ok && !isListed());
      must('the node sees it in the membership snapshot, and reports again', sim.until(isListed, 500, 10));
    },
  },
  {
    name: 'rebuild',
    shows: 'a new master refuses petitions until it knows what each member owns; a silent one is read from the store (H11)',
    golden: true,
    run(sim, must) {
      led(sim);
      const held = entityOf('n3', THREE);
      sim.send('n3', held, { c: 'first', ms: 3000 });
      sim.run(50);
      sim.crash('n1');
      sim.gone.add('n1');
      sim.partitionOneway('n3', 'n2');
      must(
        'n2 rebuilds',
        sim.until(() => hasState(sim, 'n2', 'leading'), 3000, 10),
      );
      // The answer of n3 to the rebuild is lost. Later messages of n3 arrive.
      sim.run(20);
      sim.healLinks();
      const second = sim.send('n2', held, { c: 'second' }, { how: 'wait' });
      const asked = sim.send('n3', entityOf('n2', THREE), { c: 'asked' }, { how: 'wait' });
      sim.run(100);
      must(
        'the petition is refused',
        toldTo(sim, 'n3', 'placed').some((m) => m.refusal === 'MASTER_REBUILDING'),
      );
      must(
        'the sweep runs what it was for all the same',
        sim.until(() => asked.outcome === 'ok', 700),
      );
      must(
        'then the table is rebuilt',
        sim.until(() => hasState(sim, 'n2', 'rebuilt'), 2000, 10),
      );
      const rebuilt = eventsOf(sim, 'node').find((e) => e.node === 'n2' && e.state === 'rebuilt');
      must(`and it knows what the silent one owns (${rebuilt?.why})`, rebuilt?.why === 'epoch 2, entities: 1');
      must(
        'which runs its messages in order',
        sim.until(() => second.outcome === 'ok', 4000) && startedOn(sim, held).join() === 'first,second',
      );
      must('and was never taken from it', eventsOf(sim, 'own').filter((e) => e.entity === held).length === 1);
    },
  },
  {
    name: 'rebuild-fails',
    shows: 'a master that cannot finish its rebuild gives the role up, and another takes it (C5)',
    run(sim, must) {
      led(sim);
      sim.crash('n1');
      sim.gone.add('n1');
      sim.partitionOneway('n3', 'n2');
      sim.until(() => hasState(sim, 'n2', 'leading'), 3000, 10);
      // The answer of n3 is lost, and n2 cannot reach the store when it reads there what n3 owns.
      sim.run(900);
      sim.healLinks();
      sim.cutStore('n2');
      sim.run(250);
      sim.healStore('n2');
      must(
        'the leadership has ended, half established',
        sim.until(() => hasState(sim, 'n2', 'stepped-down'), 500) && !hasState(sim, 'n2', 'rebuilt'),
      );
      must('another leads, by another epoch', sim.until(() => masterOf(sim) === 'n3', 4000) && epochsOf(sim).join() === '1,2,3');
      // n2 knows of no master until its next membership snapshot, so it would send no petition.
      sim.run(200);
      sim.send('n2', entityOf('n3', THREE), { c: 'asked' });
      sim.run(50);
      must(
        'and places what it is asked for',
        toldTo(sim, 'n2', 'placed').some((m) => m.refusal === undefined),
      );
    },
  },
  {
    name: 'leader-hand-over',
    shows: 'a lower id that has lived long enough gets the role, and what its predecessor knew; nothing moves for it (C4)',
    golden: true,
    run(sim, must) {
      sim.start('n2', 'n3');
      sim.until(() => masterOf(sim) === 'n2', 3000);
      sim.run(300);
      const asked = entityOf('n2', ['n2', 'n3']);
      const long = sim.send('n3', asked, { c: 'long', ms: 6000 }, { how: 'wait', timeoutMs: 9000 });
      sim.run(50);
      sim.start('n1');
      sim.run(1900);
      must('a newcomer does not topple a working master', masterOf(sim) === 'n2' && epochsOf(sim).join() === '1');
      must('after four TTLs it leads', sim.until(() => masterOf(sim) === 'n1', 3000) && epochsOf(sim).join() === '1,2');
      const atMsOf = (node: string, state: 'joined' | 'leading'): number =>
        eventsOf(sim, 'node').findLast((e) => e.node === node && e.state === state)?.atMs ?? 0;
      const waitedMs = atMsOf('n1', 'leading') - atMsOf('n1', 'joined');
      must(`and not much later (${Math.round(waitedMs)} ms)`, waitedMs < 4 * 500 + 900);
      const [handover] = toldTo(sim, 'n1', 'handover');
      must('it has been told what its predecessor had placed', handover?.rows.some(([entity]) => entity === asked) === true);
      must(
        'what ran goes on where it was',
        sim.until(() => long.outcome === 'ok', 6000) && eventsOf(sim, 'own').filter((e) => e.entity === asked).length === 1,
      );
    },
  },
  {
    name: 'stale-epoch',
    shows: 'a command that a former master sent, and that comes after its successor has spoken, is refused (H03)',
    golden: true,
    run(sim, must) {
      led(sim);
      sim.hold('n1', 'n3');
      const entity = entityOf('n3', THREE);
      sim.send('n1', entity, { c: 'placed' });
      sim.run(20);
      sim.cutStore('n1');
      must(
        'another leads, and n3 follows it',
        sim.until(() => isFollowedBy(sim, 'n3', 2), 4000),
      );
      sim.release('n1', 'n3');
      sim.run(20);
      must(
        'the command has come',
        toldTo(sim, 'n3', 'assign').some((m) => m.epoch === 1 && m.entity === entity),
      );
      must(
        'and is refused',
        eventsOf(sim, 'epoch').some((e) => e.node === 'n3' && e.what === 'refuse' && e.epoch === 1),
      );
      sim.healStore('n1');
      sim.run(2000);
      must('the message ran all the same, once', startedOn(sim, entity).join() === 'placed');
    },
  },
  {
    name: 'woken-master',
    shows: 'a master that wakes from a pause finds petitions before it, and orders nothing by its old epoch (H02)',
    run(sim, must) {
      led(sim);
      sim.pause('n1');
      const entity = entityOf('n2', THREE);
      const call = sim.send('n3', entity, { c: 'asked' }, { how: 'wait' });
      must(
        'another leads meanwhile',
        sim.until(() => masterOf(sim) === 'n2', 4000),
      );
      must(
        'what the sleeper was asked for runs',
        sim.until(() => call.outcome === 'ok', 1000) && startedOn(sim, entity).length === 1,
      );
      const wokenMs = sim.world.nowMs;
      sim.resume('n1');
      sim.run(1500);
      must('the petition did reach it', toldTo(sim, 'n1', 'petition').length === 1);
      const words = eventsOf(sim, 'told').filter((e) => e.from === 'n1' && e.atMs >= wokenMs);
      must(
        'it has ordered nothing',
        words.every((e) => e.message.kind !== 'assign' && e.message.kind !== 'list-workers'),
      );
      must('it is back as another incarnation, and follows', hasState(sim, 'n1', 'lease-lost') && masterOf(sim) === 'n2');
    },
  },
  {
    name: 'master-that-nobody-can-call',
    shows: 'a master that is alive in the store and out of reach for its peers loses the role, and work goes on (I3)',
    settings: { replyTimeoutMs: 6000 },
    run(sim, must) {
      led(sim);
      sim.partition(['n1'], ['n2', 'n3']);
      const calls = Array.from({ length: 20 }, (_, i) => {
        const call = sim.send(i % 2 === 0 ? 'n2' : 'n3', `plain:far-${i}`, { c: `f${i}` }, { how: 'wait' });
        sim.run(400);
        return call;
      });
      must(
        'within ten seconds another leads',
        sim.until(() => masterOf(sim) === 'n2', 2000),
      );
      must(
        'every call is answered',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 6000),
      );
      must('the node itself lives on', !hasState(sim, 'n1', 'lease-lost'));
    },
  },
  {
    name: 'cut-off-master-is-not-renewed',
    shows: 'the store refuses to renew the term of a master that most of its group report as unreachable (L1)',
    run(sim, must) {
      led(sim);
      sim.partition(['n1'], ['n2', 'n3']);
      const isCutOff = (): boolean => {
        const { members } = sim.server.state;
        const { incarnation } = sim.node('n1');
        return ['n2', 'n3'].every((name) => members.get(sim.node(name).incarnation)?.unreachable.includes(incarnation) === true);
      };
      for (let i = 0; i < 40 && !isCutOff(); i++) {
        for (const name of ['n2', 'n3']) sim.send(name, `plain:far-${name}-${i}`, { c: `${name}-${i}` });
        sim.run(100);
      }
      must('both others report the master as unreachable', isCutOff());
      must(
        'it steps down at its next renewal, and does not wait until it has seen for long that another node should lead',
        sim.until(() => masterOf(sim) !== 'n1', 300),
      );
      must(
        'another node leads after its term',
        sim.until(() => masterOf(sim) === 'n2', 4000),
      );
    },
  },
  {
    name: 'burst-is-spread',
    shows: 'a master counts what it has placed since the last membership snapshot: a burst for one node goes to all (L3)',
    settings: { heartbeatMs: 400, nodeTTLMs: 2000 },
    run(sim, must) {
      sim.start(...THREE);
      must(
        'n1 leads',
        sim.until(() => masterOf(sim) === 'n1', 8000),
      );
      sim.run(300);
      const places = THREE.map((serverId, i) => ({ incarnation: i + 1, serverId }));
      const entities = Array.from({ length: 200 }, (_, i) => `plain:${i}`).filter((e) => placeOf(e, places)?.serverId === 'n2');
      const calls = entities.slice(0, 40).map((entity, i) => sim.send('n3', entity, { c: `b${i}` }, { how: 'wait' }));
      must('all of them run', calls.length === 40 && sim.until(() => calls.every((c) => c.outcome === 'ok'), 100, 5));
      const shares = THREE.map((node) => eventsOf(sim, 'start').filter((e) => e.node === node).length);
      must(`on all nodes (${shares})`, Math.max(...shares) <= 24 && Math.min(...shares) >= 4);
    },
  },
  {
    name: 'declined-after-the-term',
    shows: 'a master whose term is over when a node declines its assignment says so to the node that has asked it',
    settings: { nodeTTLMs: 5000, reconcileIntervalMs: 5000, shutdownGraceMs: 3000 },
    run(sim, must) {
      led(sim);
      sim.send('n2', entityOf('n2', THREE, 'fenced'), { c: 'long', ms: 2500 });
      sim.run(50);
      sim.stop('n2');
      const asked = sim.send('n3', entityOf('n2', THREE), { c: 'asked' }, { how: 'wait' });
      must(
        'the master has asked the node that stops',
        sim.until(() => toldTo(sim, 'n2', 'assign').length > 0, 50, 0.05),
      );
      sim.pause('n1');
      sim.run(700);
      must('which has declined, and no answer has come', toldTo(sim, 'n3', 'placed').length === 0);
      sim.resume('n1');
      sim.run(10);
      must(
        'the answer comes when the master wakes',
        toldTo(sim, 'n3', 'placed').some((m) => m.refusal === 'NOT_MASTER'),
      );
      must(
        'and the message runs elsewhere',
        sim.until(() => asked.outcome === 'ok', 100),
      );
    },
  },
  {
    name: 'network-problem-is-reported',
    shows: 'what the network says is wrong is reported once after a grace, and once more when it is over',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      const reports = reportsOf(sim, 'n1');
      const countOf = (name: string): number => reports.filter((report) => report === name).length;
      const { network } = optionsOf(sim, 'n1');
      let problem: string | undefined = 'no link';
      network.problem = () => problem;
      sim.run(900);
      must('a short problem is not reported', countOf('network-failing') === 0);
      sim.run(1500);
      must('a long one is, once', countOf('network-failing') === 1 && countOf('network-restored') === 0);
      problem = undefined;
      sim.run(1000);
      must('and so is its end', countOf('network-failing') === 1 && countOf('network-restored') === 1);
    },
  },
  {
    name: 'asked-before-it-stepped-down',
    shows: 'a master that steps down answers the petitions whose assignments are open, and those who asked need not wait',
    settings: { reconcileIntervalMs: 5000 },
    run(sim, must) {
      led(sim);
      sim.hold('n1', 'n2');
      sim.send('n3', entityOf('n2', THREE), { c: 'asked' });
      sim.run(20);
      sim.cutStore('n1');
      must(
        'n1 steps down',
        sim.until(() => hasState(sim, 'n1', 'stepped-down'), 1000, 1),
      );
      sim.run(5);
      must(
        'and says so to the node that has asked it',
        toldTo(sim, 'n3', 'placed').some((m) => m.refusal === 'NOT_MASTER'),
      );
    },
  },
  {
    name: 'petition-passed-on',
    shows: 'a node that is no master passes a petition on, a limited number of times, and then says so to the node that asked',
    settings: { forwardHopsMax: 2 },
    run(sim, must) {
      led(sim);
      const entity = entityOf('n2', THREE);
      const source = sim.node('n3').incarnation;
      const ask = (ticket: number, hops: number): void => {
        sim.hub.listenerOf(sim.node('n2').incarnation)?.receive({ kind: 'petition', ticket, entity, source, hops }, source);
        sim.run(10);
      };
      ask(100, 1);
      must(
        'the master gets it',
        toldTo(sim, 'n1', 'petition').some((m) => m.ticket === 100 && m.hops === 2),
      );
      ask(101, 2);
      must('it does not get one that was passed on too often', toldTo(sim, 'n1', 'petition').length === 1);
      must(
        'and the node that asked knows why',
        toldTo(sim, 'n3', 'placed').some((m) => m.ticket === 101 && m.refusal === 'MAX_HOPS_EXCEEDED'),
      );
    },
  },
];
