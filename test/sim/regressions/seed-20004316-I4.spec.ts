// biome-ignore-all format: written by the simulator, format 1
// At commit 4059e3458004 seed 20004316 broke I4 (an accepted message reaches exactly one terminal state; each bad end is one dead letter): late-6681 is running, though the store has lost acknowledged writes
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 20004316 keeps I4', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "I4",
  "what": "late-6681 is running, though the store has lost acknowledged writes",
  "commit": "4059e3458004",
  "plan": {
    "version": 1,
    "seed": 20004316,
    "nodes": [
      {"name":"n2","startMs":4615,"group":"g2","types":["retried"]}
    ],
    "settings": {
      "heartbeatMs": 389,
      "nodeTTLMs": 1855,
      "leaseMarginMs": 371,
      "takeoverHoldMs": 1855,
      "reconcileIntervalMs": 1314,
      "leaderTTLMs": 3591,
      "leaderRenewalMs": 389,
      "leaderDebounceMs": 60,
      "forwardHopsMax": 1,
      "petitionsMax": 1,
      "storeCallTimeoutMs": 105,
      "enqueueTimeoutMs": 4092,
      "replyTimeoutMs": 580,
      "idleTimeoutMs": 1619,
      "handlerTimeoutMs": 0,
      "shutdownGraceMs": 67,
      "maxAttempts": 5,
      "backoffDelayMs": 2,
      "onInterrupt": "retry",
      "depthMax": 0,
      "depthMaxTotal": 100000,
      "workersMax": 10000,
      "concurrentHandlersMax": 2,
      "onLeaseLost": "rejoin"
    },
    "messages": [],
    "faults": [
      {"atMs":826,"kind":"requestLostWindow","node":"n2","aims":true,"forMs":6672,"amount":0.2},
      {"atMs":5827,"kind":"lateCopyWindow","node":"n2","forMs":4487,"amount":0.3},
      {"atMs":6681,"kind":"join","node":"n2","aims":true,"forMs":0},
      {"atMs":8615,"kind":"storeEmpty","forMs":0,"amount":3}
    ],
    "healAtMs": 10314,
    "gone": [],
    "hits": [
      "lateCopy late-6681 1",
      "lateCopy late-6681 3",
      "lateCopy late-6681 8"
    ]
  }
};
