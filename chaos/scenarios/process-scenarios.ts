/** Faults of the processes of nodes. */
import { blackhole, latency } from '../links.js';
import { interrupts, keepLease, losesLease, noneInterrupted, refusesEffects, type Scenario, saw } from './scenario.js';

const OVERSLEPT = 'the lease of every node had ended in its sleep';
const STOOD_STILL = 'its main loop answered nothing';
const WALL_JUMPED = 'its wall clock was an hour ahead';

export const PROCESS_SCENARIOS: readonly Scenario[] = [
  {
    name: 'kill',
    shows: 'what ran on a killed node becomes a dead letter or goes back to the head, and all the rest goes on elsewhere',
    faults: ['kill -9 of a node in mid-handler; it starts again 3 s later'],
    twin: 'crash',
    ci: true,
    must: [interrupts],
    async play(stage) {
      await stage.occupy('n1');
      await stage.nodes.kill('n1');
      await stage.sleep(3000);
      stage.nodes.start('n1');
      await stage.nodes.ready('n1');
      await stage.sleep(1000);
    },
  },
  {
    name: 'kill-all',
    shows: 'a cluster whose every node is killed at once finishes what it had accepted when it comes back',
    faults: ['kill -9 of all nodes at once; they start again 1 s later'],
    twin: 'restart-of-the-same-server-id',
    must: [interrupts],
    async play(stage) {
      await stage.occupy('n2');
      await stage.nodes.kill(...stage.names);
      await stage.sleep(1000);
      stage.nodes.start(...stage.names);
      await stage.nodes.ready(...stage.names);
    },
  },
  {
    name: 'rolling-restart',
    shows: 'every node is restarted in turn under load, and no handler is interrupted',
    faults: ['each node in turn is told to stop, and starts again'],
    twin: 'rolling-restart',
    must: [noneInterrupted],
    async play(stage) {
      for (const name of stage.names) {
        await stage.nodes.stop(name);
        stage.nodes.start(name);
        await stage.nodes.ready(name);
        await stage.sleep(500);
      }
    },
  },
  {
    name: 'sigstop-past-lease',
    shows: 'effects of a node that slept through its lease are refused by the fence',
    faults: ['SIGSTOP of a node for 5 s, in mid-handler'],
    twin: 'paused-owner',
    ci: true,
    must: [interrupts, refusesEffects],
    async play(stage) {
      const entity = await stage.occupy('n2', 'deaf');
      const resume = await stage.pause('n2');
      stage.send('n1', entity, 5);
      await stage.sleep(5000);
      await resume();
      await stage.sleep(1500);
    },
  },
  {
    name: 'sigstop-in-flight',
    shows: 'what the log began while its owner slept is not started by it when it wakes',
    faults: ['SIGSTOP of a node for 5 s, twice, with 200 ms between it and Redis'],
    twin: 'begun-past-the-lease',
    must: [interrupts],
    async play(stage) {
      await stage.redisToxic(['n2'], latency(200, 0), 'latency 200 ms');
      for (let i = 0; i < 2; i++) {
        await stage.sleep(2500);
        const resume = await stage.pause('n2');
        await stage.sleep(5000);
        await resume();
      }
    },
  },
  {
    name: 'sigstop-within-lease',
    shows: 'a node that sleeps for less than its lease loses nothing',
    faults: ['SIGSTOP of each node in turn for 600 ms'],
    twin: 'pauseShort',
    must: [noneInterrupted, keepLease('n1', 'n2', 'n3')],
    async play(stage) {
      for (const name of [...stage.names, ...stage.names]) {
        const resume = await stage.pause(name);
        await stage.sleep(600);
        await resume();
        await stage.sleep(500);
      }
    },
  },
  {
    name: 'sigstop-all',
    shows: 'when all nodes sleep past their leases, those that wake go on, or come back as others',
    faults: ['SIGSTOP of all nodes for 4 s'],
    twin: 'common-outage',
    // A suspension is not required: a node that wakes may send a heartbeat before it checks its lease.
    must: [saw(OVERSLEPT)],
    async play(stage) {
      const resumes = await Promise.all(stage.names.map((name) => stage.pause(name)));
      await stage.sleep(4000);
      await stage.look(OVERSLEPT, async () => stage.names.every((name) => stage.leaseLeftMs(name) === 0));
      for (const resume of resumes) await resume();
      await stage.sleep(1500);
    },
  },
  {
    name: 'loop-blocked',
    shows: 'a handler that blocks the main loop for longer than the lease does not cost it',
    faults: ['the main loop of a node stands still for 4 s'],
    twin: 'pauseLong',
    must: [noneInterrupted, keepLease('n3'), saw(STOOD_STILL)],
    async play(stage) {
      stage.block('n3', 4000);
      await stage.look(STOOD_STILL, async () => (await stage.nodes.peer('n3')?.status())?.state === 'silent');
      await stage.sleep(4000);
    },
  },
  {
    name: 'storm',
    shows: 'several things at once',
    faults: ['a node is killed in mid-handler, another is cut off from the third, and Redis is slow, 7 s'],
    twin: 'crash',
    nodes: 4,
    must: [interrupts],
    async play(stage) {
      await stage.occupy('n1');
      await stage.redisToxic(stage.names, latency(40, 30), 'latency 40 ms, jitter 30 ms');
      await stage.peerToxic(['n2', 'n3'], blackhole, 'blackhole');
      await stage.sleep(1000);
      await stage.nodes.kill('n1');
      await stage.sleep(3000);
      stage.nodes.start('n1');
      const resume = await stage.pause('n4');
      await stage.sleep(3000);
      await resume();
      // The time that a process takes to start must not count as recovery time of the cluster.
      await stage.nodes.ready('n1');
    },
  },
  {
    name: 'pubsub-kill-and-cut',
    shows: 'without gRPC the same holds: hints and replies over pub/sub may be lost',
    faults: ['hints over pub/sub; a node is killed, and all links to Redis are cut for 3 s'],
    twin: 'netLossWindow',
    pubsub: true,
    must: [interrupts],
    async play(stage) {
      await stage.occupy('n1');
      await stage.nodes.kill('n1');
      await stage.sleep(3500);
      stage.nodes.start('n1');
      await stage.redisDown(...stage.names);
      await stage.sleep(3000);
    },
  },
  {
    name: 'wall-clock-jump',
    shows: 'nothing counts its time by the wall clock',
    faults: ['the wall clock of a node jumps an hour ahead, then two hours back'],
    twin: 'wallJump',
    needs: 'libfaketime',
    must: [noneInterrupted, keepLease('n2'), saw(WALL_JUMPED)],
    async play(stage) {
      stage.jumpClock('n2', 3600);
      await stage.look(WALL_JUMPED, async () => ((await stage.nodes.peer('n2')?.status())?.wallMs ?? 0) > Date.now() + 3_000_000);
      await stage.sleep(2500);
      stage.jumpClock('n2', -3600);
      await stage.sleep(2500);
    },
  },
  {
    name: 'container-paused',
    shows: 'a frozen container is a stopped process: the fence refuses what it had begun',
    faults: ['pause of a container for 5 s, in mid-handler'],
    twin: 'paused-owner',
    needs: 'containers',
    ci: true,
    must: [interrupts, refusesEffects],
    async play(stage) {
      const entity = await stage.occupy('n2', 'deaf');
      const thaw = await stage.freeze('n2');
      stage.send('n1', entity, 5);
      await stage.sleep(5000);
      await thaw();
      await stage.sleep(1500);
    },
  },
  {
    name: 'network-disconnected',
    shows: 'a container without its network stops by its own clock, and comes back as another',
    faults: ['a container is taken off its network for 5 s'],
    twin: 'cut-from-the-store',
    needs: 'containers',
    ci: true,
    must: [losesLease('n3')],
    async play(stage) {
      await stage.disconnect('n3');
      await stage.sleep(5000);
    },
  },
];
