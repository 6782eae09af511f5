/** Trouble on the links: between nodes and Redis, and between nodes. */
import { blackhole, latency } from '../links.js';
import type { Scenario } from './scenario.js';

export const LINK_SCENARIOS: readonly Scenario[] = [
  {
    name: 'redis-latency',
    shows: 'a slow store makes everything slow, and nothing wrong',
    faults: ['80 ms and 40 ms of jitter on every link to Redis, both ways'],
    twin: 'storeDelayMsWindow',
    async play(stage) {
      await stage.redisToxic(stage.names, latency(80, 40), 'latency 80 ms, jitter 40 ms');
      await stage.sleep(5000);
    },
  },
  {
    name: 'redis-blackhole-one',
    shows: 'a node that Redis does not answer stops by its own clock before others take over, and comes back as another',
    faults: ['the bytes between one node and Redis vanish for 5 s'],
    twin: 'partitionStore',
    async play(stage) {
      await stage.redisToxic(['n2'], blackhole, 'blackhole');
      await stage.sleep(5000);
    },
  },
  {
    name: 'peer-pair-blackhole',
    shows: 'two nodes that cannot talk lose time, not messages',
    faults: ['the bytes between one pair of nodes vanish for 5 s'],
    twin: 'partition',
    async play(stage) {
      await stage.peerToxic(['n1', 'n2'], blackhole, 'blackhole');
      await stage.sleep(5000);
    },
  },
];
