/** Faults on the links between nodes and Redis, and between nodes. */
import { bandwidth, blackhole, latency, reset, slicer, slowClose } from '../links.js';
import { LINK_LOST } from '../stage.js';
import { COPIED, leavesUnknown, losesLease, rejects, type Scenario, saw, slows, suspends } from './scenario.js';

const REDIS_DOWN = [1, 5, 20].map(
  (seconds): Scenario => ({
    name: `redis-down-${seconds}s`,
    shows: 'while the store is out of reach calls are refused or unknown, and afterwards nothing is missing',
    faults: [`every link to Redis is cut, and refuses new connections, for ${seconds} s`],
    twin: seconds === 1 ? 'storeDown' : 'common-outage',
    must: [rejects],
    async play(stage) {
      const up = await stage.redisDown(...stage.names);
      await stage.sleep(seconds * 1000);
      await up();
    },
  }),
);

const RECONNECTED = 'every node connected to Redis anew';

const REDIS_LINK: readonly Scenario[] = [
  {
    name: 'redis-latency',
    shows: 'a slow store makes everything slow, and nothing wrong',
    faults: ['40 ms and 20 ms of jitter on every link to Redis, both ways'],
    twin: 'storeDelayMsWindow',
    must: [slows(200)],
    async play(stage) {
      await stage.redisToxic(stage.names, latency(40, 20), 'latency 40 ms, jitter 20 ms');
      await stage.sleep(5000);
    },
  },
  {
    name: 'redis-blackhole-one',
    shows: 'a node that Redis does not answer stops by its own clock before others take over, and comes back as another',
    faults: ['the bytes between one node and Redis vanish for 5 s, with a handler running'],
    twin: 'partitionStore',
    ci: true,
    must: [rejects],
    async play(stage) {
      const entity = await stage.occupy('n2');
      await stage.redisToxic(['n2'], blackhole, 'blackhole');
      stage.send('n1', entity, 5);
      await stage.sleep(5000);
    },
  },
  {
    name: 'redis-blackhole-all',
    shows: 'a store that answers nobody is no reason to bury anybody',
    faults: ['the bytes between every node and Redis vanish for 5 s'],
    twin: 'common-outage',
    must: [leavesUnknown, suspends],
    async play(stage) {
      await stage.redisToxic(stage.names, blackhole, 'blackhole');
      await stage.sleep(5000);
    },
  },
  {
    name: 'redis-replies-lost',
    shows: 'what was applied, and whose answer was lost, is not applied again',
    faults: ['what Redis answers one node vanishes, requests pass: for 0.7 s, five times, and for 4 s'],
    twin: 'replyLostWindow',
    must: [saw(COPIED), losesLease('n1')],
    async play(stage) {
      const before = stage.storeLog.copies;
      const lose = () => stage.redisToxic(['n1'], { ...blackhole, stream: 'downstream' }, 'replies vanish');
      // Shorter than the lease: a node that loses its lease comes back as a new incarnation and resends nothing.
      for (let i = 0; i < 5; i++) {
        const heal = await lose();
        await stage.sleep(700);
        await heal();
        await stage.sleep(800);
      }
      await stage.look(COPIED, async () => stage.storeLog.copies > before);
      await lose();
      await stage.sleep(4000);
    },
  },
  {
    name: 'redis-late-copies',
    shows: 'batches that a slow connection delivers seconds after their resend change nothing',
    faults: ['half of the connections to Redis deliver 2.5 s late for 3 s, again and again'],
    twin: 'late-copies',
    must: [saw(COPIED)],
    async play(stage) {
      const before = stage.storeLog.copies;
      // Toxiproxy draws the half. A node resends after a second, and the resend arrives first if its next connection is in the
      // other half.
      for (let i = 0; i < 3 || (i < 10 && stage.storeLog.copies === before); i++) {
        const late = { ...latency(2500, 200), stream: 'upstream', toxicity: 0.5 } as const;
        const heal = await stage.redisToxic(stage.names, late, 'half deliver 2.5 s late');
        await stage.sleep(3000);
        await heal();
        await stage.sleep(500);
      }
      await stage.look(COPIED, async () => stage.storeLog.copies > before);
    },
  },
  {
    name: 'redis-reset',
    shows: 'connections that are reset in mid-call cost time, and double nothing',
    faults: ['every connection to Redis is reset, four times for 300 ms'],
    twin: 'replyLostWindow',
    must: [saw(RECONNECTED)],
    async play(stage) {
      const before = await stage.admin.connections();
      for (let i = 0; i < 4; i++) {
        const heal = await stage.redisToxic(stage.names, reset, 'reset');
        await stage.sleep(300);
        await heal();
        await stage.sleep(900);
      }
      await stage.look(RECONNECTED, async () => (await stage.admin.connections()) >= before + stage.names.length);
    },
  },
  {
    name: 'redis-slow-close',
    shows: 'a connection that closes late keeps nobody from the next one',
    faults: ['closes take 3 s on every link to Redis, and connections are cut three times'],
    twin: 'lateCopyWindow',
    must: [slows(500)],
    async play(stage) {
      await stage.redisToxic(stage.names, slowClose(3000), 'slow close 3 s');
      for (let i = 0; i < 3; i++) {
        await stage.redisOnce('clients cut', (admin) => admin.killClients());
        await stage.sleep(1500);
      }
    },
  },
  {
    name: 'redis-bandwidth',
    shows: 'a thin link to the store makes batches larger, and nothing wrong',
    faults: ['16 kB/s on every link to Redis'],
    twin: 'storeDelayMsWindow',
    must: [slows(100)],
    async play(stage) {
      await stage.redisToxic(stage.names, bandwidth(16), 'bandwidth 16 kB/s');
      await stage.sleep(5000);
    },
  },
  {
    name: 'redis-slicer',
    shows: 'requests and answers may come in pieces',
    faults: ['all bytes to and from Redis in pieces of 24, 800 us apart'],
    twin: 'storeDelayMsWindow',
    must: [slows(100)],
    async play(stage) {
      await stage.redisToxic(stage.names, slicer(24, 800), 'slicer 24 bytes');
      await stage.sleep(5000);
    },
  },
  ...REDIS_DOWN,
];

const PEER_LINK: readonly Scenario[] = [
  {
    name: 'peer-latency',
    shows: 'slow peers cost time only',
    faults: ['200 ms and 100 ms of jitter between all nodes'],
    twin: 'netDelayMsWindow',
    must: [slows(150)],
    async play(stage) {
      await stage.peerToxic(stage.names, latency(200, 100), 'latency 200 ms, jitter 100 ms');
      await stage.sleep(5000);
    },
  },
  {
    name: 'peer-pair-blackhole',
    shows: 'two nodes that cannot talk lose time, not messages',
    faults: ['the bytes between one pair of nodes vanish for 5 s'],
    twin: 'partition',
    ci: true,
    must: [saw(LINK_LOST)],
    async play(stage) {
      await stage.peerToxic(['n1', 'n2'], blackhole, 'blackhole');
      await stage.lookForLoss('n1', 'n2');
      await stage.sleep(5000);
    },
  },
  {
    name: 'peer-one-way',
    shows: 'requests that pass, and answers that do not, are read back from the log',
    faults: ['nothing of what one node sends reaches the others for 5 s; it hears them'],
    twin: 'one-way-link',
    must: [saw(LINK_LOST)],
    async play(stage) {
      await stage.mute('n1', 'n2');
      await stage.mute('n1', 'n3');
      await stage.lookForLoss('n1', 'n2');
      await stage.sleep(5000);
    },
  },
  {
    name: 'peers-down',
    shows: 'nodes that reach the store and not each other serve every entity',
    faults: ['all links between nodes are cut, and refuse new connections, for 6 s'],
    twin: 'peers-cut-off',
    must: [saw(LINK_LOST)],
    async play(stage) {
      await stage.peersDown(...stage.names);
      await stage.lookForLoss('n1', 'n2');
      await stage.sleep(6000);
    },
  },
  {
    name: 'peer-torn',
    shows: 'frames that come in pieces, slowly, over links that are reset, are whole or not there',
    faults: ['pieces of 16 bytes and 32 kB/s between all nodes; every second all links are reset'],
    twin: 'netLossWindow',
    must: [saw(LINK_LOST)],
    async play(stage) {
      await stage.peerToxic(stage.names, slicer(16, 100), 'slicer 16 bytes');
      await stage.peerToxic(stage.names, bandwidth(32), 'bandwidth 32 kB/s');
      for (let i = 0; i < 5; i++) {
        await stage.sleep(900);
        const heal = await stage.peerToxic(stage.names, reset, 'reset');
        await stage.lookForLoss('n1', 'n2');
        await stage.sleep(100);
        await heal();
      }
    },
  },
];

export const LINK_SCENARIOS: readonly Scenario[] = [...REDIS_LINK, ...PEER_LINK];
