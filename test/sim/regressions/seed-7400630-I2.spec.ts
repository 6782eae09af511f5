// biome-ignore-all format: written by the simulator, format 1
// At commit 1a79004d466c-dirty seed 7400630 broke I2 (handlers of one entity never overlap in time): plain:0: #5 started on n1 while #10 ran on n4
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 7400630 keeps I2', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "I2",
  "what": "plain:0: #5 started on n1 while #10 ran on n4",
  "commit": "1a79004d466c-dirty",
  "plan": {
    "version": 1,
    "seed": 7400630,
    "nodes": [
      {"name":"n1","startMs":198,"group":"g1"},
      {"name":"n2","startMs":141,"group":"g2"},
      {"name":"n3","startMs":3905,"group":"g1"},
      {"name":"n4","startMs":2498,"group":"g2"}
    ],
    "settings": {
      "heartbeatMs": 99,
      "nodeTTLMs": 499,
      "leaseMarginMs": 25,
      "takeoverHoldMs": 499,
      "reconcileIntervalMs": 794,
      "leaderTTLMs": 897,
      "leaderRenewalMs": 99,
      "leaderDebounceMs": 627,
      "forwardHopsMax": 3,
      "petitionsMax": 3,
      "storeCallTimeoutMs": 309,
      "enqueueTimeoutMs": 4134,
      "replyTimeoutMs": 3891,
      "idleTimeoutMs": 3979,
      "handlerTimeoutMs": 0,
      "shutdownGraceMs": 69,
      "maxAttempts": 2,
      "backoffDelayMs": 18,
      "onInterrupt": "retry",
      "depthMax": 0,
      "depthMaxTotal": 100000,
      "workersMax": 10000,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin"
    },
    "messages": [
      {"atMs":967,"node":"n1","entity":"fenced:1","how":"enqueue","job":{"c":"m134","op":"deposit","amount":25,"ms":35,"how":"ok","lagMs":100}},
      {"atMs":1034,"node":"n3","entity":"plain:0","how":"enqueue","job":{"c":"m27","op":"withdraw","amount":70,"ms":33,"how":"ok","lagMs":304}},
      {"atMs":1644,"node":"n2","entity":"plain:0","how":"enqueue","job":{"c":"m94","op":"withdraw","amount":34,"ms":17,"how":"ok"}},
      {"atMs":1790,"node":"n2","entity":"retried:2","how":"enqueue","job":{"c":"m81","op":"withdraw","amount":35,"ms":21,"how":"ok","lagMs":433}},
      {"atMs":1790,"node":"n2","entity":"retried:2","how":"enqueue","job":{"c":"m82","op":"read","amount":24,"ms":37,"how":"ok"}},
      {"atMs":1790,"node":"n2","entity":"retried:2","how":"enqueue","job":{"c":"m83","op":"deposit","amount":64,"ms":2,"how":"ok","lagMs":316,"sends":[{"entity":"plain:0","job":{"c":"m83.2","op":"deposit","amount":88,"ms":3,"how":"ok"}},{"entity":"fenced:1","job":{"c":"m83.1","op":"deposit","amount":63,"ms":22,"how":"ok"}}]}},
      {"atMs":2154,"node":"n1","entity":"plain:0","how":"wait","job":{"c":"m20","op":"withdraw","amount":16,"ms":4,"how":"ok"}},
      {"atMs":2197,"node":"n1","entity":"fenced:1","how":"wait","job":{"c":"m51","op":"deposit","amount":95,"ms":4,"how":"ok","lagMs":201}},
      {"atMs":2304,"node":"n3","entity":"fenced:1","how":"enqueue","job":{"c":"m85","op":"read","amount":25,"ms":28,"how":"ok","lagMs":367}},
      {"atMs":2345,"node":"n3","entity":"plain:3","how":"enqueue","job":{"c":"m116","op":"read","amount":73,"ms":21,"how":"ok","lagMs":399}},
      {"atMs":2422,"node":"n3","entity":"plain:0","how":"wait","job":{"c":"m122","op":"deposit","amount":21,"ms":29,"how":"ok"}},
      {"atMs":2431,"node":"n1","entity":"fenced:1","how":"wait","job":{"c":"m87","op":"deposit","amount":25,"ms":21,"how":"ok","lagMs":254}},
      {"atMs":3357,"node":"n1","entity":"fenced:1","how":"wait","job":{"c":"m156","op":"read","amount":67,"ms":39,"how":"ok","lagMs":270,"sends":[{"entity":"plain:0","job":{"c":"m156.1","op":"read","amount":66,"ms":1565,"how":"deaf"}}]},"onTimeout":"withdraw"},
      {"atMs":3368,"node":"n3","entity":"fenced:1","how":"enqueue","job":{"c":"m88","op":"withdraw","amount":79,"ms":13,"how":"ok"}},
      {"atMs":3449,"node":"n4","entity":"fenced:1","how":"enqueue","job":{"c":"m26","op":"deposit","amount":94,"ms":28,"how":"ok","lagMs":373}},
      {"atMs":3462,"node":"n1","entity":"plain:0","how":"wait","job":{"c":"m121","op":"withdraw","amount":37,"ms":28,"how":"ok","lagMs":260},"onTimeout":"withdraw"},
      {"atMs":3494,"node":"n2","entity":"plain:0","how":"enqueue","job":{"c":"m3","op":"read","amount":36,"ms":30,"how":"ok","lagMs":349}},
      {"atMs":3494,"node":"n2","entity":"plain:0","how":"wait","job":{"c":"m4","op":"deposit","amount":4,"ms":11,"how":"ok","lagMs":190}},
      {"atMs":3575,"node":"n1","entity":"retried:2","how":"enqueue","job":{"c":"m92","op":"read","amount":44,"ms":6,"how":"ok","lagMs":35}},
      {"atMs":3635,"node":"n1","entity":"plain:0","how":"enqueue","job":{"c":"m150","op":"read","amount":3,"ms":4,"how":"ok"}},
      {"atMs":3684,"node":"n2","entity":"plain:3","how":"enqueue","job":{"c":"m24","op":"deposit","amount":94,"ms":32,"how":"ok"}}
    ],
    "faults": [
      {"atMs":1589,"kind":"storeDelayMsWindow","node":"n4","forMs":1304,"amount":100},
      {"atMs":2092,"kind":"drift","node":"n2","forMs":7772,"amount":0.999957412907388},
      {"atMs":2892,"kind":"suspend","node":"n1","forMs":2251},
      {"atMs":3714,"kind":"suspend","node":"n2","forMs":406},
      {"atMs":4477,"kind":"replay","node":"n4","forMs":0,"amount":0},
      {"atMs":5256,"kind":"netDoubleWindow","node":"n3","forMs":3081,"amount":0.1},
      {"atMs":5417,"kind":"wallJump","node":"n3","forMs":0,"amount":700},
      {"atMs":5768,"kind":"replay","node":"n2","forMs":0,"amount":0},
      {"atMs":5902,"kind":"drift","node":"n3","forMs":3014,"amount":1.004910617673304},
      {"atMs":6121,"kind":"storeDelayMsWindow","node":"n1","forMs":2633,"amount":700},
      {"atMs":7133,"kind":"wallJump","node":"n1","forMs":0,"amount":3600000},
      {"atMs":9043,"kind":"rollingRestart","node":"n1","forMs":3220},
      {"atMs":11495,"kind":"suspend","node":"n1","forMs":377}
    ],
    "healAtMs": 12263,
    "gone": []
  }
};
