// biome-ignore-all format: written by the simulator, format 1
// At commit 8f2571683d8d-dirty seed 431 broke defect (the library throws nothing that nobody handles): after stop() has resolved, the node still has 1 timers
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 431 keeps defect', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "defect",
  "what": "after stop() has resolved, the node still has 1 timers",
  "commit": "8f2571683d8d-dirty",
  "plan": {
    "version": 1,
    "seed": 431,
    "store": "lua",
    "nodes": [
      {"name":"n1","startMs":243,"group":"g1"},
      {"name":"n2","startMs":194,"group":"g1"},
      {"name":"n3","startMs":72,"group":"g1"}
    ],
    "settings": {
      "heartbeatMs": 136,
      "nodeTTLMs": 751,
      "leaseMarginMs": 75,
      "takeoverHoldMs": 751,
      "reconcileIntervalMs": 337,
      "leaderTTLMs": 877,
      "leaderRenewalMs": 136,
      "leaderDebounceMs": 336,
      "forwardHopsMax": 2,
      "petitionsMax": 50,
      "storeCallTimeoutMs": 529,
      "enqueueTimeoutMs": 1948,
      "replyTimeoutMs": 2045,
      "idleTimeoutMs": 108,
      "handlerTimeoutMs": 57,
      "shutdownGraceMs": 2863,
      "maxAttempts": 3,
      "backoffDelayMs": 2,
      "onInterrupt": "retry",
      "depthMax": 4,
      "depthMaxTotal": 17,
      "workersMax": 10000,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin"
    },
    "messages": [
      {"atMs":4456,"node":"n3","entity":"plain:0","how":"wait","job":{"c":"m85","op":"withdraw","amount":38,"ms":124,"how":"ok","lagMs":635}},
      {"atMs":4692,"node":"n2","entity":"retried:2","how":"enqueue","job":{"c":"m63","op":"deposit","amount":91,"ms":90,"how":"ok","lagMs":654}},
      {"atMs":4735,"node":"n2","entity":"retried:2","how":"wait","job":{"c":"m89","op":"deposit","amount":84,"ms":16,"how":"ok","lagMs":617},"id":"id-m89"},
      {"atMs":4752,"node":"n3","entity":"plain:3","how":"enqueue","job":{"c":"m82","op":"deposit","amount":44,"ms":32,"how":"ok","lagMs":675}},
      {"atMs":5957,"node":"n2","entity":"plain:3","how":"enqueue","job":{"c":"m13","op":"deposit","amount":23,"ms":1988,"how":"deaf"}},
      {"atMs":6010,"node":"n1","entity":"plain:0","how":"wait","job":{"c":"m111","op":"read","amount":35,"ms":1784,"how":"deaf"},"onTimeout":"withdraw"},
      {"atMs":6100,"node":"n3","entity":"fenced:1","how":"wait","job":{"c":"m22","op":"deposit","amount":84,"ms":6,"how":"throw-first","lagMs":633},"id":"id-m22","onTimeout":"withdraw"}
    ],
    "faults": [
      {"atMs":1650,"kind":"storeDelayMsWindow","node":"n3","forMs":6820,"amount":100},
      {"atMs":1706,"kind":"netDoubleWindow","node":"n1","forMs":2902,"amount":0.1},
      {"atMs":3097,"kind":"partition","node":"n2","aims":true,"forMs":511},
      {"atMs":4592,"kind":"isolation","node":"n3","forMs":1104},
      {"atMs":5422,"kind":"requestLostWindow","node":"n2","forMs":4205,"amount":0.02},
      {"atMs":6481,"kind":"rollingRestart","node":"n2","forMs":6679},
      {"atMs":7079,"kind":"partitionOneway","node":"n3","forMs":215},
      {"atMs":7208,"kind":"keyLost","forMs":0,"amount":20815},
      {"atMs":7225,"kind":"partitionOneway","node":"n1","forMs":314},
      {"atMs":10638,"kind":"keyLost","forMs":0,"amount":90702},
      {"atMs":10907,"kind":"partitionOneway","node":"n1","forMs":1691},
      {"atMs":11397,"kind":"readyLost","forMs":0},
      {"atMs":12235,"kind":"partitionOneway","node":"n2","forMs":242}
    ],
    "healAtMs": 13160,
    "gone": [],
    "hits": [
      "requestLost n3 5",
      "requestLost n1 20"
    ]
  }
};
