// biome-ignore-all format: written by the simulator, format 1
// At commit 1baaaf47eda5 seed 29010698 broke I2 (handlers of one entity never overlap in time): fenced:1: #2 started on n3 while #1 ran on n1
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 29010698 keeps I2', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "I2",
  "what": "fenced:1: #2 started on n3 while #1 ran on n1",
  "commit": "1baaaf47eda5",
  "plan": {
    "version": 1,
    "seed": 29010698,
    "nodes": [
      {"name":"n1","startMs":1085,"group":"g1","types":["plain","fenced","retried"]},
      {"name":"n3","startMs":213,"group":"g1","types":["plain","fenced","retried"]}
    ],
    "settings": {
      "heartbeatMs": 400,
      "nodeTTLMs": 2399,
      "leaseMarginMs": 240,
      "takeoverHoldMs": 536,
      "reconcileIntervalMs": 1613,
      "leaderTTLMs": 3647,
      "leaderRenewalMs": 400,
      "leaderDebounceMs": 309,
      "forwardHopsMax": 2,
      "petitionsMax": 1,
      "storeCallTimeoutMs": 755,
      "enqueueTimeoutMs": 1143,
      "replyTimeoutMs": 814,
      "idleTimeoutMs": 1956,
      "handlerTimeoutMs": 465,
      "shutdownGraceMs": 160,
      "maxAttempts": 2,
      "backoffDelayMs": 1,
      "onInterrupt": "dead-letter",
      "depthMax": 0,
      "depthMaxTotal": 38,
      "workersMax": 9,
      "concurrentHandlersMax": 6,
      "onLeaseLost": "rejoin"
    },
    "messages": [
      {"atMs":1519,"node":"n2","entity":"fenced:1","how":"enqueue","job":{"c":"m38","op":"deposit","amount":44,"ms":2721,"how":"ok"},"id":"id-m38"},
      {"atMs":2144,"node":"n6","entity":"fenced:1","how":"enqueue","job":{"c":"m31","op":"deposit","amount":68,"ms":239,"how":"ok"}}
    ],
    "faults": [
      {"atMs":1607,"kind":"suspend","node":"n2","aims":true,"forMs":1635},
      {"atMs":3248,"kind":"pauseLong","node":"n4","aims":true,"forMs":6420}
    ],
    "healAtMs": 10168,
    "gone": []
  }
};
