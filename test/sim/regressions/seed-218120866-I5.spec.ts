// biome-ignore-all format: written by the simulator, format 1
// At commit d00422f4d5f7 seed 218120866 broke I5 (what a caller is told never contradicts the log): call m72 was told success, the log says failed
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 218120866 keeps I5', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "I5",
  "what": "call m72 was told success, the log says failed",
  "commit": "d00422f4d5f7",
  "plan": {
    "version": 1,
    "seed": 218120866,
    "nodes": [
      {"name":"n1","startMs":255,"group":"g1"},
      {"name":"n2","startMs":162,"group":"g1"}
    ],
    "settings": {
      "heartbeatMs": 73,
      "nodeTTLMs": 371,
      "leaseMarginMs": 37,
      "takeoverHoldMs": 371,
      "reconcileIntervalMs": 378,
      "leaderTTLMs": 710,
      "leaderRenewalMs": 73,
      "leaderDebounceMs": 713,
      "forwardHopsMax": 2,
      "petitionsMax": 3,
      "storeCallTimeoutMs": 890,
      "enqueueTimeoutMs": 1484,
      "replyTimeoutMs": 1427,
      "idleTimeoutMs": 3566,
      "handlerTimeoutMs": 431,
      "shutdownGraceMs": 2783,
      "maxAttempts": 3,
      "backoffDelayMs": 2,
      "onInterrupt": "dead-letter",
      "depthMax": 0,
      "depthMaxTotal": 100000,
      "workersMax": 4,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin"
    },
    "messages": [
      {"atMs":661,"node":"n3","entity":"fenced:1","how":"enqueue","job":{"c":"m47","op":"deposit","amount":58,"ms":22,"how":"ok","lagMs":321},"id":"id-m47"},
      {"atMs":679,"node":"n3","entity":"plain:0","how":"enqueue","job":{"c":"m120","op":"deposit","amount":92,"ms":12,"how":"ok","lagMs":326},"id":"id-m120"},
      {"atMs":1373,"node":"n3","entity":"plain:0","how":"enqueue","job":{"c":"m42","op":"withdraw","amount":48,"ms":19,"how":"ok","lagMs":308}},
      {"atMs":1555,"node":"n4","entity":"retried:2","how":"wait","job":{"c":"m80","op":"deposit","amount":21,"ms":29,"how":"ok","lagMs":311},"id":"id-m80","onTimeout":"withdraw"},
      {"atMs":1555,"node":"n4","entity":"retried:2","how":"wait","job":{"c":"m81","op":"deposit","amount":53,"ms":28,"how":"ok","lagMs":310}},
      {"atMs":1555,"node":"n4","entity":"retried:2","how":"wait","job":{"c":"m82","op":"deposit","amount":41,"ms":6,"how":"ok","lagMs":323},"id":"id-m82"},
      {"atMs":1555,"node":"n4","entity":"retried:2","how":"wait","job":{"c":"m83","op":"deposit","amount":72,"ms":0,"how":"ok"},"id":"id-m83"},
      {"atMs":1640,"node":"n2","entity":"plain:3","how":"wait","job":{"c":"m72","op":"deposit","amount":94,"ms":757,"how":"ok","lagMs":320},"id":"id-m72"},
      {"atMs":1945,"node":"n6","entity":"fenced:1","how":"wait","job":{"c":"m105","op":"deposit","amount":10,"ms":14,"how":"ok"}},
      {"atMs":1945,"node":"n6","entity":"fenced:1","how":"wait","job":{"c":"m106","op":"deposit","amount":68,"ms":7,"how":"ok","lagMs":92}},
      {"atMs":3094,"node":"n3","entity":"fenced:1","how":"wait","job":{"c":"m48","op":"deposit","amount":74,"ms":67,"how":"ok","lagMs":324},"onTimeout":"withdraw"},
      {"atMs":3108,"node":"n3","entity":"plain:3","how":"wait","job":{"c":"m49","op":"withdraw","amount":23,"ms":8,"how":"ok","lagMs":321}},
      {"atMs":3345,"node":"n2","entity":"plain:3","how":"wait","job":{"c":"m27","op":"withdraw","amount":25,"ms":30,"how":"ok","lagMs":326},"onTimeout":"withdraw"},
      {"atMs":3467,"node":"n4","entity":"fenced:1","how":"wait","job":{"c":"m45","op":"deposit","amount":98,"ms":17,"how":"ok","lagMs":320},"id":"id-m45"},
      {"atMs":7877,"node":"n3","entity":"plain:3","how":"wait","job":{"c":"m119","op":"read","amount":33,"ms":123,"how":"ok","lagMs":330},"id":"id-m119"},
      {"atMs":7911,"node":"n6","entity":"fenced:1","how":"wait","job":{"c":"m34","op":"read","amount":90,"ms":18,"how":"ok","lagMs":200},"id":"id-m34"},
      {"atMs":8034,"node":"n3","entity":"fenced:1","how":"wait","job":{"c":"m114","op":"withdraw","amount":22,"ms":4,"how":"ok","lagMs":310}},
      {"atMs":8034,"node":"n3","entity":"fenced:1","how":"wait","job":{"c":"m115","op":"read","amount":11,"ms":31,"how":"ok","lagMs":40},"id":"id-m115"},
      {"atMs":8034,"node":"n3","entity":"fenced:1","how":"wait","job":{"c":"m116","op":"deposit","amount":97,"ms":30,"how":"ok","lagMs":25}}
    ],
    "faults": [
      {"atMs":1667,"kind":"driftBeyond","node":"n1","forMs":4913,"amount":0.5},
      {"atMs":1934,"kind":"wallJump","node":"n1","forMs":0,"amount":700},
      {"atMs":2488,"kind":"driftBeyond","node":"n6","forMs":4666,"amount":1.1},
      {"atMs":3091,"kind":"netLossWindow","node":"n3","forMs":2165,"amount":0.05},
      {"atMs":3143,"kind":"lateCopyWindow","node":"n5","aims":true,"forMs":1003,"amount":0.3},
      {"atMs":3308,"kind":"netReorderWindow","node":"n6","aims":false,"forMs":2709,"amount":0.8},
      {"atMs":3638,"kind":"replay","node":"n1","aims":true,"forMs":0,"amount":0},
      {"atMs":4424,"kind":"netLossWindow","node":"n2","forMs":752,"amount":0.3},
      {"atMs":4802,"kind":"pauseLong","node":"n3","forMs":587,"aims":false},
      {"atMs":5072,"kind":"lateCopyWindow","node":"n3","aims":false,"forMs":4360,"amount":0.05}
    ],
    "healAtMs": 9932,
    "gone": [],
    "hits": [
      "lateCopy n1 1",
      "lateCopy n1 4",
      "netReorder n2 1",
      "lateCopy n2 10",
      "lateCopy n2 19",
      "lateCopy n1 16",
      "lateCopy n1 19",
      "netReorder n2 2",
      "netReorder n1 1",
      "netReorder n1 2",
      "lateCopy n1 21",
      "lateCopy n2 52",
      "lateCopy n2 76",
      "lateCopy n1 45",
      "lateCopy n1 57",
      "lateCopy n2 97",
      "lateCopy n1 81",
      "lateCopy n2 124",
      "lateCopy n2 132",
      "lateCopy n1 115",
      "lateCopy n1 116"
    ]
  }
};
