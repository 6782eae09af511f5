// biome-ignore-all format: written by the simulator, format 1
// At commit 59288e6004c2 seed 7005220 broke L2 (every promise settles by its deadline): call m87 settled after 1323 of 1253 ms
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 7005220 keeps L2', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "L2",
  "what": "call m87 settled after 1323 of 1253 ms",
  "commit": "59288e6004c2",
  "plan": {
    "version": 1,
    "seed": 7005220,
    "nodes": [
      {"name":"n1","startMs":25,"group":"g1","types":["plain","fenced"]}
    ],
    "settings": {
      "heartbeatMs": 305,
      "nodeTTLMs": 1027,
      "leaseMarginMs": 103,
      "takeoverHoldMs": 945,
      "reconcileIntervalMs": 466,
      "leaderTTLMs": 1838,
      "leaderRenewalMs": 305,
      "leaderDebounceMs": 37,
      "forwardHopsMax": 1,
      "petitionsMax": 3,
      "storeCallTimeoutMs": 109,
      "enqueueTimeoutMs": 853,
      "replyTimeoutMs": 4308,
      "idleTimeoutMs": 353,
      "handlerTimeoutMs": 0,
      "shutdownGraceMs": 129,
      "maxAttempts": 2,
      "backoffDelayMs": 4,
      "onInterrupt": "dead-letter",
      "depthMax": 0,
      "depthMaxTotal": 100000,
      "workersMax": 5,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin",
      "deadLetters": {"max":5,"ttl":1}
    },
    "messages": [
      {"atMs":5869,"node":"n2","entity":"fenced:16","how":"enqueue","job":{"c":"m33","op":"deposit","amount":12,"ms":3382,"how":"throw","lagMs":696}},
      {"atMs":7517,"node":"n1","entity":"fenced:19","how":"wait","job":{"c":"m146","op":"deposit","amount":23,"ms":5,"how":"throw-first"}},
      {"atMs":7685,"node":"n1","entity":"retried:2","how":"enqueue","job":{"c":"m87","op":"read","amount":17,"ms":4,"how":"ok"}}
    ],
    "faults": [
      {"atMs":7573,"kind":"partitionStore","node":"n2","aims":true,"forMs":2754},
      {"atMs":8758,"kind":"pauseLong","node":"n1","forMs":863}
    ],
    "healAtMs": 10827,
    "gone": []
  }
};
