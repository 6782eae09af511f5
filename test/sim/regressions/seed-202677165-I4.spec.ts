// biome-ignore-all format: written by the simulator, format 1
// At commit c149a3e83e56 seed 202677165 broke I4 (an accepted message reaches exactly one terminal state; each bad end is one dead letter): n1 is running, though the store has lost acknowledged writes
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 202677165 keeps I4', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "I4",
  "what": "n1 is running, though the store has lost acknowledged writes",
  "commit": "c149a3e83e56",
  "plan": {
    "version": 1,
    "seed": 202677165,
    "nodes": [
      {"name":"n1","startMs":201,"group":"g1","types":["plain","fenced","retried"]},
      {"name":"n3","startMs":153,"group":"g3","types":["plain","fenced"]}
    ],
    "settings": {
      "heartbeatMs": 360,
      "nodeTTLMs": 1755,
      "leaseMarginMs": 176,
      "takeoverHoldMs": 1755,
      "reconcileIntervalMs": 893,
      "leaderTTLMs": 2608,
      "leaderRenewalMs": 360,
      "leaderDebounceMs": 24,
      "forwardHopsMax": 2,
      "petitionsMax": 50,
      "storeCallTimeoutMs": 343,
      "enqueueTimeoutMs": 1027,
      "replyTimeoutMs": 227,
      "idleTimeoutMs": 235,
      "handlerTimeoutMs": 767,
      "shutdownGraceMs": 474,
      "maxAttempts": 3,
      "backoffDelayMs": 4,
      "onInterrupt": "retry",
      "depthMax": 8,
      "depthMaxTotal": 100000,
      "workersMax": 10000,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin"
    },
    "messages": [],
    "faults": [
      {"atMs":4515,"kind":"partitionStore","node":"n3","aims":true,"forMs":3375},
      {"atMs":6191,"kind":"pauseLong","node":"n1","aims":true,"forMs":6170},
      {"atMs":6845,"kind":"storeTail","forMs":0,"amount":12}
    ],
    "healAtMs": 12695,
    "gone": []
  }
};
