/** Ownership of entities: leases, take-over, holds, duplicate serverIds, hand-over. */
import type { Cluster } from '../cluster.js';
import { endOf, entityOf, eventsOf, hasState, placed, placedOnTwo, type Scenario, startedOn } from './scenario.js';

const A = 'fenced:a';

const takenOver = (sim: Cluster) => eventsOf(sim, 'own').find((e) => e.how === 'takeover' && e.entity === A);

export const OWNERSHIP_SCENARIOS: readonly Scenario[] = [
  {
    name: 'paused-owner',
    shows: 'an owner that is stopped past its lease cannot overwrite its successor (H05)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const first = sim.send(owner, A, { c: 'first', amount: 100, ms: 200 }, { how: 'wait' });
      sim.run(20);
      sim.pause(owner);
      const second = sim.send(other, A, { c: 'second', op: 'withdraw', amount: 80 }, { how: 'wait' });
      must(
        'the other takes over and runs the second message',
        sim.until(() => second.outcome === 'ok', 4000),
      );
      sim.resume(owner);
      sim.run(1000);
      must('the paused handler wrote nothing', sim.bank.account(A).balance === -80);
      must('the first message is a dead letter', endOf(sim, first) === 'interrupted');
      must('the owner is back as another incarnation', hasState(sim, owner, 'lease-lost') && sim.node(owner).isServing);
    },
  },
  {
    name: 'suspended-machine',
    shows:
      'a machine whose clock stood still starts, as it wakes, what was begun there: only the fence keeps its write out (H05, found by seed 7400630)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      sim.delay(0, 60);
      const first = sim.send(owner, A, { c: 'first', amount: 100 });
      sim.until(() => eventsOf(sim, 'transition').some((e) => e.seq === 2 && e.to === 'dispatched'), 200, 0.1);
      sim.pause(owner, true);
      sim.delay(0);
      const second = sim.send(other, A, { c: 'second', op: 'withdraw', amount: 80, ms: 1000 }, { how: 'wait' });
      must(
        'the other takes over',
        sim.until(() => startedOn(sim, A).includes('second'), 3000) && endOf(sim, first) === 'interrupted',
      );
      sim.resume(owner);
      sim.run(50);
      must('the first starts beside the second, since its node cannot know', startedOn(sim, A).join() === 'second,first');
      must(
        'it is refused where it counts',
        eventsOf(sim, 'effect').some((e) => e.seq === 2 && !e.accepted),
      );
      must(
        'and the second is not disturbed',
        sim.until(() => second.outcome === 'ok', 2000) && sim.bank.account(A).balance === -80,
      );
    },
  },
  {
    name: 'takeover-hold',
    shows: 'what ran on a dead owner is waited for: the next message begins only after the hold',
    golden: true,
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      sim.send(owner, A, { c: 'running', ms: 5000 });
      sim.run(20);
      const next = sim.send(other, A, { c: 'next' }, { how: 'wait' });
      sim.cutStore(owner);
      sim.until(() => next.outcome !== 'open', 6000);
      const taken = eventsOf(sim, 'own').find((e) => e.how === 'takeover' && e.entity === A);
      const started = eventsOf(sim, 'start').find((e) => e.call === 'next');
      const heldMs = (started?.atMs ?? 0) - (taken?.atMs ?? 0);
      must(`the next message waits for the hold (${Math.round(heldMs)} ms)`, taken !== undefined && heldMs >= 500);
      must('and then runs', next.outcome === 'ok');
    },
  },
  {
    name: 'eviction-within-the-lease',
    shows: 'the store refuses to evict a member within its lease (I2)',
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const { incarnation } = sim.node('n1');
      const { generation, members } = sim.server.state;
      const { heartbeat = 0 } = members.get(incarnation) ?? {};
      const answer = sim.server.applyControl('n2', { op: 'evict', generation, incarnation, heartbeatSeen: heartbeat });
      must('the eviction is refused', !answer.ok && answer.code === 'NOT_LAPSED');
      must('the member stays', members.get(incarnation)?.dead === false);
    },
  },
  {
    name: 'slot-freed-while-suspended',
    shows:
      'a slot that is freed while the lease is not proved is given out when it is: nothing stays in the queue for slots (I7)',
    settings: { concurrentHandlersMax: 1, nodeTTLMs: 1000, leaseMarginMs: 400 },
    run(sim, must) {
      const both = ['n1', 'n2'];
      sim.start('n1');
      sim.run(1000);
      sim.send('n1', entityOf('n1', both), { c: 'running', ms: 1000, how: 'deaf' });
      sim.run(50);
      const queued = sim.send('n1', entityOf('n2', both), { c: 'queued' }, { how: 'wait' });
      sim.run(50);
      sim.start('n2');
      must(
        'the newcomer gets what waits for the slot',
        sim.until(() => queued.outcome === 'ok', 1000),
      );
      sim.cutStore('n1');
      must(
        'n1 is suspended',
        sim.until(() => hasState(sim, 'n1', 'suspended'), 1000, 10),
      );
      must(
        'its slot is freed',
        sim.until(() => eventsOf(sim, 'end').length === 2, 400, 10),
      );
      sim.healStore('n1');
      must(
        'and its lease is proved again',
        sim.until(() => hasState(sim, 'n1', 'resumed'), 500, 10),
      );
    },
  },
  {
    name: 'node-never-comes-back',
    shows: 'the backlog of a node that is gone for good is run by others, in order, and its running message is told of (H08)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const calls = ['a1', 'a2', 'a3', 'a4'].map((c) => sim.send(other, A, { c, ms: c === 'a1' ? 3000 : 5 }));
      sim.run(50);
      sim.crash(owner);
      sim.gone.add(owner);
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 6000),
      );
      must('the first is a dead letter', endOf(sim, calls[0]!) === 'interrupted');
      must('the others ran in order', startedOn(sim, A).join() === 'a1,a2,a3,a4');
    },
  },
  {
    name: 'server-id-twin',
    shows: 'a second process with the serverId of a living one does not get in, and harms nothing (H10)',
    run(sim, must) {
      sim.start('n1');
      sim.run(1000);
      const running = sim.send('n1', A, { c: 'running', ms: 1500 }, { how: 'wait' });
      const apply = sim.server.applyControl.bind(sim.server);
      let joins = 0;
      sim.server.applyControl = (host, op, ...rest) => {
        if (op.op === 'join') joins++;
        return apply(host, op, ...rest);
      };
      sim.add({ name: 'twin', startMs: 0, group: 'default', serverId: 'n1' }).start();
      sim.gone.add('twin');
      sim.run(4000);
      must('the twin gives up', hasState(sim, 'twin', 'start-failed'));
      must(`and has not asked all the time (${joins})`, joins > 1 && joins < 60);
      must('the first never lost its lease', !hasState(sim, 'n1', 'lease-lost'));
      must('what ran went on', running.outcome === 'ok');
    },
  },
  {
    name: 'restart-of-the-same-server-id',
    shows: 'a process that was killed and started again waits for its own lease, and recovers its own work',
    run(sim, must) {
      sim.start('n1');
      sim.run(500);
      sim.send('n1', A, { c: 'one', ms: 1000 });
      sim.send('n1', A, { c: 'two' });
      sim.run(50);
      sim.restart('n1');
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 5000),
      );
      must('both are known', startedOn(sim, A).join() === 'one,two');
    },
  },
  {
    name: 'idle-teardown-race',
    shows: 'an entity that is given up as a message comes is neither run twice nor forgotten (H12)',
    settings: { idleTimeoutMs: 20 },
    run(sim, must) {
      sim.start('n1', 'n2');
      sim.run(1000);
      const names: string[] = [];
      for (let i = 0; i < 60; i++) {
        const c = `m${i}`;
        names.push(c);
        sim.send(i % 2 === 0 ? 'n1' : 'n2', A, { c, ms: 1 });
        sim.run(20 + (i % 10));
      }
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 3000),
      );
      must('each ran once, in order', startedOn(sim, A).join() === names.join());
      must('it was given up meanwhile', eventsOf(sim, 'own').filter((e) => e.how === 'release').length > 3);
    },
  },
  {
    name: 'audit-beside-releases',
    shows: 'an owner whose count of entities is overtaken by releases does not take the difference for a loss',
    settings: { idleTimeoutMs: 300, reconcileIntervalMs: 60 },
    run(sim, must) {
      const names = ['n1', 'n2', 'n3', 'n4', 'n5'];
      sim.start(...names);
      sim.run(500);
      for (let i = 0; i < 150; i++) {
        for (let j = 0; j < 25; j++) sim.send(names[j % 5] as string, `plain:${i}.${j}`, { c: `${i}.${j}`, ms: 1 });
        sim.run(10);
        // The releases that follow overtake an audit sent now. Two such audits in a row would count as a loss.
        sim.conditions.storeReorder = 1;
        sim.run(100);
        sim.conditions.storeReorder = 0;
        sim.run(100);
      }
      must('entities were released meanwhile', eventsOf(sim, 'own').filter((e) => e.how === 'release').length > 1000);
      must('no node has lost anything', !names.some((name) => hasState(sim, name, 'store-lost')));
    },
  },
  {
    name: 'fifo-across-takeover',
    shows: 'messages that wait at a dead owner run before those that come later (H09)',
    run(sim, must) {
      sim.start('n1', 'n2', 'n3');
      sim.run(1000);
      const { owner, other } = placed(sim, 'plain:b');
      for (const c of ['b1', 'b2', 'b3']) sim.send(owner, 'plain:b', { c, ms: 400 });
      sim.run(30);
      sim.crash(owner);
      for (const c of ['b4', 'b5']) sim.send(other, 'plain:b', { c });
      sim.send(other, 'plain:b', { c: 'b6' });
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 6000),
      );
      const order = startedOn(sim, 'plain:b');
      must(`in log order (${order})`, order.slice(0, 3).join() === 'b1,b2,b3' && order.length === 6);
    },
  },
  {
    name: 'graceful-leave',
    shows: 'a node that is told to stop hands everything over: no dead letter (H28)',
    golden: true,
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const calls = ['c1', 'c2', 'c3'].map((c) => sim.send(other, A, { c, ms: 200 }));
      sim.run(20);
      sim.stop(owner);
      must(
        'all of it ends',
        sim.until(() => sim.depth === 0, 5000),
      );
      must(
        'all completed',
        calls.every((c) => endOf(sim, c) === 'completed'),
      );
      must('nothing died', eventsOf(sim, 'letter').length === 0);
    },
  },
  {
    name: 'cut-from-the-store',
    shows: 'a node that does not reach the store stops its handlers before others may start (H18)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      sim.send(owner, A, { c: 'long', ms: 10_000 });
      sim.run(50);
      sim.cutStore(owner);
      const next = sim.send(other, A, { c: 'next' }, { how: 'wait' });
      sim.until(() => next.outcome !== 'open', 5000);
      const abort = eventsOf(sim, 'abort')[0];
      const taken = eventsOf(sim, 'own').find((e) => e.how === 'takeover');
      must('the signal aborts before the take-over', (abort?.atMs ?? Infinity) < (taken?.atMs ?? 0));
    },
  },
  {
    name: 'hold-outlives-its-maker',
    shows: 'a hold stands in the log: it is kept also when the node that took over dies within it',
    settings: { takeoverHoldMs: 2500 },
    run(sim, must) {
      sim.start('n1', 'n2', 'n3');
      sim.run(1000);
      const { owner } = placed(sim, A);
      sim.send(owner, A, { c: 'winds down', ms: 9000, lagMs: 2000 });
      sim.run(20);
      sim.cutStore(owner);
      sim.until(() => takenOver(sim) !== undefined, 3000, 10);
      const taken = takenOver(sim);
      must('another takes over', taken !== undefined && taken.node !== owner);
      if (taken === undefined) return;
      sim.crash(taken.node);
      sim.gone.add(taken.node);
      const third = ['n1', 'n2', 'n3'].find((n) => n !== owner && n !== taken.node) as string;
      const next = sim.send(third, A, { c: 'next' }, { how: 'wait', timeoutMs: 6000 });
      must(
        'the third one owns it long before the hold is over',
        sim.until(() => eventsOf(sim, 'own').some((e) => e.node === third && e.how === 'claim'), 1500),
      );
      must(
        'and runs the next message',
        sim.until(() => next.outcome === 'ok', 4000),
      );
      const startMs = eventsOf(sim, 'start').find((e) => e.call === 'next')?.atMs ?? 0;
      must('when the hold is over', startMs - taken.atMs >= 2500);
    },
  },
  {
    name: 'begun-past-the-lease',
    shows: 'what the log began, but whose answer came after the lease, is not started: it was given up meanwhile (H02)',
    run(sim, must) {
      const { owner } = placedOnTwo(sim, A);
      sim.delay(0, 60);
      const call = sim.send(owner, A, { c: 'late' });
      sim.until(() => eventsOf(sim, 'transition').some((e) => e.seq === 2 && e.to === 'dispatched'), 200, 0.1);
      must('the log has begun it', !startedOn(sim, A).includes('late'));
      sim.pause(owner);
      sim.delay(0, 0);
      must(
        'the other gives it up',
        sim.until(() => endOf(sim, call) === 'interrupted', 3000),
      );
      sim.resume(owner);
      sim.run(1500);
      must('it never starts', !startedOn(sim, A).includes('late'));
      must('and its letter says so', [...sim.server.state.letters.values()][0]?.late === 'not-run');
    },
  },
  {
    name: 'wrong-hints',
    shows: 'whoever is told by mistake that an entity is its own does not get it while another owns it (H01)',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const calls = ['w1', 'w2', 'w3'].map((c) => sim.send(owner, A, { c, ms: 100 }, { how: 'wait' }));
      sim.run(20);
      const { incarnation } = sim.node(other);
      const told = sim.hub.listenerOf(incarnation);
      told?.receive({ kind: 'wake', entity: A, message: undefined }, 0);
      told?.receive({ kind: 'assign', ticket: 1, entity: A, epoch: 9 }, 0);
      must(
        'the owner runs everything',
        sim.until(() => calls.every((c) => c.outcome === 'ok'), 1000) && startedOn(sim, A).join() === 'w1,w2,w3',
      );
      must('and nobody else has ever owned it', eventsOf(sim, 'own').filter((e) => e.entity === A).length === 1);
    },
  },
  {
    name: 'hint-before-the-answer',
    shows: 'a message whose hint reaches the owner before the answer "nothing is there", which is older, begins at once',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const first = sim.send(owner, A, { c: 'first' });
      sim.until(() => endOf(sim, first) === 'completed', 200, 5);
      sim.run(20);
      sim.slowStore(owner, 30);
      sim.hub.listenerOf(sim.node(owner).incarnation)?.receive({ kind: 'wake', entity: A, message: undefined }, 0);
      // The store has applied the begin, and its answer is on the way.
      sim.run(45);
      sim.send(other, A, { c: 'second' });
      must(
        'it begins, and no sweep and no idle time is needed',
        sim.until(() => startedOn(sim, A).includes('second'), 130, 5),
      );
    },
  },
  {
    name: 'wake-before-the-end-is-logged',
    shows: 'an owner whose last message ends while a wake of the next one arrives does not forget that wake',
    run(sim, must) {
      const { owner, other } = placedOnTwo(sim, A);
      const first = sim.send(owner, A, { c: 'first', ms: 40 });
      sim.until(() => eventsOf(sim, 'end').length === 2, 200, 0.1);
      sim.slowStore(owner, 30);
      sim.partitionOneway(other, owner);
      // The store has applied the finish, and its answer is on the way.
      sim.until(() => endOf(sim, first) === 'completed', 100, 1);
      sim.send(other, A, { c: 'second' });
      sim.run(5);
      sim.hub.listenerOf(sim.node(owner).incarnation)?.receive({ kind: 'wake', entity: A, message: undefined }, 0);
      must(
        'the next message begins, and no sweep and no idle time is needed',
        sim.until(() => startedOn(sim, A).includes('second'), 130, 5),
      );
    },
  },
];
