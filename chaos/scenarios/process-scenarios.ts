/** Trouble with the processes of nodes. */
import type { Scenario } from './scenario.js';

export const PROCESS_SCENARIOS: readonly Scenario[] = [
  {
    name: 'kill',
    shows: 'what ran on a killed node becomes a dead letter or goes back to the head, and all the rest goes on elsewhere',
    faults: ['kill -9 of a node; it starts again 3 s later'],
    twin: 'crash',
    async play(stage) {
      await stage.kill('n1');
      await stage.sleep(3000);
      stage.start('n1');
      await stage.ready('n1');
      await stage.sleep(1000);
    },
  },
  {
    name: 'sigstop-past-lease',
    shows: 'effects of a node that slept through its lease are refused by the fence',
    faults: ['SIGSTOP of a node for 5 s, in mid-handler'],
    twin: 'paused-owner',
    async play(stage) {
      const resume = stage.pause('n2');
      await stage.sleep(5000);
      await resume();
      await stage.sleep(1500);
    },
  },
];
