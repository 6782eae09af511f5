// biome-ignore-all format: written by the simulator, format 1
// At commit f8cb0c956550 seed 7002043 broke L1 (after the heal everything accepted becomes terminal and new work is accepted): plain:3 #25 is not terminal 776171 ms after the heal
import { expect, it } from 'vitest';
import { brokenBy } from '../../../sim/report/regression.js';

it('seed 7002043 keeps L1', async () => {
  expect(await brokenBy(REGRESSION)).toEqual([]);
});

const REGRESSION = {
  "invariant": "L1",
  "what": "plain:3 #25 is not terminal 776171 ms after the heal",
  "commit": "f8cb0c956550",
  "plan": {
    "version": 1,
    "seed": 7002043,
    "nodes": [
      {
        "name": "n1",
        "startMs": 205,
        "group": "g1"
      },
      {
        "name": "n2",
        "startMs": 66,
        "group": "g1"
      },
      {
        "name": "n3",
        "startMs": 295,
        "group": "g1"
      }
    ],
    "settings": {
      "heartbeatMs": 383,
      "nodeTTLMs": 1872,
      "leaseMarginMs": 187,
      "takeoverHoldMs": 1007,
      "reconcileIntervalMs": 452,
      "leaderTTLMs": 3002,
      "leaderRenewalMs": 383,
      "leaderDebounceMs": 66,
      "forwardHopsMax": 1,
      "petitionsMax": 1,
      "storeCallTimeoutMs": 499,
      "enqueueTimeoutMs": 733,
      "replyTimeoutMs": 1000,
      "idleTimeoutMs": 39,
      "handlerTimeoutMs": 221,
      "shutdownGraceMs": 464,
      "maxAttempts": 5,
      "backoffDelayMs": 11,
      "onInterrupt": "dead-letter",
      "depthMax": 0,
      "depthMaxTotal": 100000,
      "workersMax": 10000,
      "concurrentHandlersMax": 1000,
      "onLeaseLost": "rejoin"
    },
    "messages": [
      {
        "atMs": 400,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m95",
          "op": "read",
          "amount": 51,
          "ms": 0,
          "how": "refuse",
          "lagMs": 625
        },
        "id": "id-m95"
      },
      {
        "atMs": 413,
        "node": "n1",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m105",
          "op": "deposit",
          "amount": 22,
          "ms": 3,
          "how": "ok",
          "lagMs": 864
        },
        "id": "id-m105"
      },
      {
        "atMs": 476,
        "node": "n2",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m75",
          "op": "withdraw",
          "amount": 20,
          "ms": 5,
          "how": "ok",
          "lagMs": 39
        },
        "id": "id-m75"
      },
      {
        "atMs": 750,
        "node": "n3",
        "entity": "plain:9",
        "how": "enqueue",
        "job": {
          "c": "m4",
          "op": "deposit",
          "amount": 68,
          "ms": 2,
          "how": "ok",
          "lagMs": 111
        }
      },
      {
        "atMs": 798,
        "node": "n1",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m3",
          "op": "read",
          "amount": 12,
          "ms": 5,
          "how": "ok",
          "lagMs": 135
        }
      },
      {
        "atMs": 1048,
        "node": "n1",
        "entity": "retried:8",
        "how": "enqueue",
        "job": {
          "c": "m15",
          "op": "read",
          "amount": 40,
          "ms": 1,
          "how": "throw-first",
          "lagMs": 871
        },
        "id": "id-m15"
      },
      {
        "atMs": 1120,
        "node": "n3",
        "entity": "fenced:7",
        "how": "wait",
        "job": {
          "c": "m61",
          "op": "deposit",
          "amount": 47,
          "ms": 3,
          "how": "ok",
          "lagMs": 834
        }
      },
      {
        "atMs": 1120,
        "node": "n3",
        "entity": "fenced:7",
        "how": "enqueue",
        "job": {
          "c": "m62",
          "op": "withdraw",
          "amount": 24,
          "ms": 5,
          "how": "ok",
          "lagMs": 13
        }
      },
      {
        "atMs": 1120,
        "node": "n3",
        "entity": "fenced:7",
        "how": "enqueue",
        "job": {
          "c": "m63",
          "op": "deposit",
          "amount": 51,
          "ms": 2,
          "how": "refuse",
          "lagMs": 870
        }
      },
      {
        "atMs": 1292,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m96",
          "op": "deposit",
          "amount": 78,
          "ms": 1,
          "how": "throw-first",
          "lagMs": 197
        },
        "id": "id-m96"
      },
      {
        "atMs": 1351,
        "node": "n3",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m33",
          "op": "deposit",
          "amount": 12,
          "ms": 2,
          "how": "ok",
          "lagMs": 119
        },
        "id": "id-m33"
      },
      {
        "atMs": 1388,
        "node": "n1",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m19",
          "op": "deposit",
          "amount": 51,
          "ms": 2420,
          "how": "ok",
          "lagMs": 48
        },
        "id": "id-m19"
      },
      {
        "atMs": 1425,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m38",
          "op": "withdraw",
          "amount": 93,
          "ms": 0,
          "how": "throw",
          "lagMs": 178
        },
        "id": "id-m38"
      },
      {
        "atMs": 1570,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m6",
          "op": "deposit",
          "amount": 69,
          "ms": 3039,
          "how": "ok",
          "lagMs": 874
        },
        "id": "id-m6"
      },
      {
        "atMs": 1671,
        "node": "n1",
        "entity": "retried:5",
        "how": "enqueue",
        "job": {
          "c": "m37",
          "op": "withdraw",
          "amount": 5,
          "ms": 3623,
          "how": "ok",
          "lagMs": 216
        },
        "id": "id-m37"
      },
      {
        "atMs": 1776,
        "node": "n1",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m111",
          "op": "deposit",
          "amount": 38,
          "ms": 3007,
          "how": "ok",
          "lagMs": 378
        },
        "id": "id-m111"
      },
      {
        "atMs": 1781,
        "node": "n1",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m97",
          "op": "deposit",
          "amount": 21,
          "ms": 2420,
          "how": "ok",
          "lagMs": 779
        }
      },
      {
        "atMs": 1858,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m93",
          "op": "deposit",
          "amount": 85,
          "ms": 2,
          "how": "refuse",
          "lagMs": 825
        }
      },
      {
        "atMs": 2026,
        "node": "n1",
        "entity": "plain:9",
        "how": "enqueue",
        "job": {
          "c": "m76",
          "op": "deposit",
          "amount": 30,
          "ms": 2,
          "how": "ok",
          "lagMs": 569
        }
      },
      {
        "atMs": 2208,
        "node": "n2",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m22",
          "op": "deposit",
          "amount": 40,
          "ms": 0,
          "how": "ok",
          "lagMs": 154
        }
      },
      {
        "atMs": 2309,
        "node": "n1",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m88",
          "op": "withdraw",
          "amount": 9,
          "ms": 1,
          "how": "ok",
          "lagMs": 894
        },
        "id": "id-m88",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 2442,
        "node": "n1",
        "entity": "fenced:4",
        "how": "enqueue",
        "job": {
          "c": "m51",
          "op": "deposit",
          "amount": 25,
          "ms": 5159,
          "how": "ok",
          "lagMs": 73
        },
        "id": "id-m51"
      },
      {
        "atMs": 2779,
        "node": "n3",
        "entity": "plain:9",
        "how": "wait",
        "job": {
          "c": "m35",
          "op": "deposit",
          "amount": 42,
          "ms": 0,
          "how": "ok",
          "lagMs": 43
        }
      },
      {
        "atMs": 2811,
        "node": "n2",
        "entity": "plain:9",
        "how": "enqueue",
        "job": {
          "c": "m94",
          "op": "deposit",
          "amount": 88,
          "ms": 8282,
          "how": "ok",
          "lagMs": 219
        }
      },
      {
        "atMs": 2844,
        "node": "n2",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m101",
          "op": "deposit",
          "amount": 69,
          "ms": 4854,
          "how": "ok",
          "lagMs": 821
        },
        "id": "id-m101"
      },
      {
        "atMs": 2903,
        "node": "n2",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m1",
          "op": "deposit",
          "amount": 17,
          "ms": 4439,
          "how": "ok",
          "lagMs": 848
        }
      },
      {
        "atMs": 2989,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m106",
          "op": "withdraw",
          "amount": 99,
          "ms": 5,
          "how": "throw-first",
          "lagMs": 875
        }
      },
      {
        "atMs": 2989,
        "node": "n2",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m107",
          "op": "deposit",
          "amount": 39,
          "ms": 19,
          "how": "ok",
          "lagMs": 896
        },
        "id": "id-m107"
      },
      {
        "atMs": 2989,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m108",
          "op": "read",
          "amount": 73,
          "ms": 1,
          "how": "throw",
          "lagMs": 905
        },
        "id": "id-m108"
      },
      {
        "atMs": 3037,
        "node": "n3",
        "entity": "plain:6",
        "how": "enqueue",
        "job": {
          "c": "m36",
          "op": "deposit",
          "amount": 97,
          "ms": 0,
          "how": "ok",
          "lagMs": 210
        },
        "id": "id-m36"
      },
      {
        "atMs": 3169,
        "node": "n1",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m67",
          "op": "deposit",
          "amount": 54,
          "ms": 2,
          "how": "ok"
        }
      },
      {
        "atMs": 3169,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m68",
          "op": "deposit",
          "amount": 82,
          "ms": 0,
          "how": "ok",
          "lagMs": 45
        }
      },
      {
        "atMs": 3169,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m69",
          "op": "withdraw",
          "amount": 64,
          "ms": 2199,
          "how": "ok",
          "lagMs": 524
        }
      },
      {
        "atMs": 3169,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m70",
          "op": "deposit",
          "amount": 73,
          "ms": 2845,
          "how": "ok",
          "lagMs": 862
        },
        "id": "id-m70"
      },
      {
        "atMs": 3427,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m65",
          "op": "read",
          "amount": 7,
          "ms": 4,
          "how": "ok",
          "lagMs": 905
        },
        "id": "id-m65"
      },
      {
        "atMs": 3466,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m110",
          "op": "read",
          "amount": 63,
          "ms": 8225,
          "how": "ok",
          "lagMs": 833
        },
        "id": "id-m110"
      },
      {
        "atMs": 3534,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m92",
          "op": "withdraw",
          "amount": 72,
          "ms": 5,
          "how": "ok",
          "lagMs": 860
        },
        "id": "id-m92"
      },
      {
        "atMs": 3549,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m39",
          "op": "withdraw",
          "amount": 75,
          "ms": 14,
          "how": "ok",
          "lagMs": 871
        },
        "id": "id-m39"
      },
      {
        "atMs": 3549,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m40",
          "op": "deposit",
          "amount": 9,
          "ms": 4,
          "how": "ok",
          "lagMs": 905
        },
        "id": "id-m40"
      },
      {
        "atMs": 3549,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m41",
          "op": "read",
          "amount": 77,
          "ms": 6386,
          "how": "ok"
        },
        "id": "id-m41"
      },
      {
        "atMs": 3549,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m42",
          "op": "deposit",
          "amount": 34,
          "ms": 2558,
          "how": "ok",
          "lagMs": 850
        },
        "id": "id-m42"
      },
      {
        "atMs": 3549,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m43",
          "op": "deposit",
          "amount": 33,
          "ms": 5,
          "how": "ok"
        }
      },
      {
        "atMs": 3722,
        "node": "n2",
        "entity": "fenced:7",
        "how": "wait",
        "job": {
          "c": "m21",
          "op": "read",
          "amount": 94,
          "ms": 3,
          "how": "throw",
          "lagMs": 700
        },
        "id": "id-m21"
      },
      {
        "atMs": 3800,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m18",
          "op": "deposit",
          "amount": 10,
          "ms": 0,
          "how": "ok"
        }
      },
      {
        "atMs": 3859,
        "node": "n2",
        "entity": "fenced:7",
        "how": "wait",
        "job": {
          "c": "m14",
          "op": "deposit",
          "amount": 92,
          "ms": 0,
          "how": "ok",
          "lagMs": 886
        },
        "id": "id-m14",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 3956,
        "node": "n3",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m32",
          "op": "deposit",
          "amount": 47,
          "ms": 9731,
          "how": "ok",
          "lagMs": 889
        },
        "onTimeout": "withdraw"
      },
      {
        "atMs": 4072,
        "node": "n1",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m109",
          "op": "read",
          "amount": 14,
          "ms": 1,
          "how": "ok",
          "lagMs": 102
        },
        "id": "id-m109"
      },
      {
        "atMs": 4095,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m11",
          "op": "read",
          "amount": 44,
          "ms": 8967,
          "how": "ok",
          "lagMs": 364
        },
        "id": "id-m11"
      },
      {
        "atMs": 4175,
        "node": "n2",
        "entity": "plain:6",
        "how": "enqueue",
        "job": {
          "c": "m91",
          "op": "deposit",
          "amount": 26,
          "ms": 6829,
          "how": "ok",
          "lagMs": 721
        },
        "id": "id-m91"
      },
      {
        "atMs": 4215,
        "node": "n2",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m73",
          "op": "deposit",
          "amount": 50,
          "ms": 1,
          "how": "ok",
          "lagMs": 266
        },
        "id": "id-m73",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 4244,
        "node": "n1",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m82",
          "op": "deposit",
          "amount": 4,
          "ms": 3957,
          "how": "ok",
          "lagMs": 456
        },
        "id": "id-m82"
      },
      {
        "atMs": 4429,
        "node": "n1",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m10",
          "op": "deposit",
          "amount": 13,
          "ms": 2443,
          "how": "ok",
          "lagMs": 899
        }
      },
      {
        "atMs": 4539,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m89",
          "op": "deposit",
          "amount": 44,
          "ms": 9515,
          "how": "ok",
          "lagMs": 877
        },
        "id": "id-m89"
      },
      {
        "atMs": 4679,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m31",
          "op": "withdraw",
          "amount": 29,
          "ms": 6836,
          "how": "throw-first"
        }
      },
      {
        "atMs": 4684,
        "node": "n1",
        "entity": "fenced:4",
        "how": "enqueue",
        "job": {
          "c": "m7",
          "op": "withdraw",
          "amount": 79,
          "ms": 5,
          "how": "ok",
          "lagMs": 696
        },
        "id": "id-m7"
      },
      {
        "atMs": 4731,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m20",
          "op": "withdraw",
          "amount": 40,
          "ms": 8907,
          "how": "ok",
          "lagMs": 893
        }
      },
      {
        "atMs": 5001,
        "node": "n2",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m81",
          "op": "deposit",
          "amount": 45,
          "ms": 3,
          "how": "ok",
          "lagMs": 239
        }
      },
      {
        "atMs": 5100,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m71",
          "op": "read",
          "amount": 12,
          "ms": 4,
          "how": "ok",
          "lagMs": 475
        },
        "id": "id-m71"
      },
      {
        "atMs": 5131,
        "node": "n3",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m83",
          "op": "withdraw",
          "amount": 73,
          "ms": 5454,
          "how": "ok"
        }
      },
      {
        "atMs": 5316,
        "node": "n3",
        "entity": "retried:8",
        "how": "wait",
        "job": {
          "c": "m55",
          "op": "read",
          "amount": 33,
          "ms": 5,
          "how": "ok",
          "lagMs": 643
        },
        "onTimeout": "withdraw"
      },
      {
        "atMs": 5316,
        "node": "n3",
        "entity": "retried:8",
        "how": "wait",
        "job": {
          "c": "m56",
          "op": "deposit",
          "amount": 50,
          "ms": 1,
          "how": "ok",
          "lagMs": 905
        }
      },
      {
        "atMs": 5316,
        "node": "n3",
        "entity": "retried:8",
        "how": "enqueue",
        "job": {
          "c": "m57",
          "op": "deposit",
          "amount": 95,
          "ms": 2738,
          "how": "ok",
          "lagMs": 859
        }
      },
      {
        "atMs": 5316,
        "node": "n3",
        "entity": "retried:8",
        "how": "enqueue",
        "job": {
          "c": "m58",
          "op": "deposit",
          "amount": 56,
          "ms": 5213,
          "how": "ok",
          "lagMs": 90
        },
        "id": "id-m58"
      },
      {
        "atMs": 5316,
        "node": "n3",
        "entity": "retried:8",
        "how": "wait",
        "job": {
          "c": "m59",
          "op": "deposit",
          "amount": 26,
          "ms": 1,
          "how": "ok",
          "lagMs": 52
        },
        "id": "id-m59"
      },
      {
        "atMs": 5675,
        "node": "n3",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m49",
          "op": "withdraw",
          "amount": 24,
          "ms": 3,
          "how": "ok",
          "lagMs": 140
        }
      },
      {
        "atMs": 5676,
        "node": "n2",
        "entity": "retried:5",
        "how": "enqueue",
        "job": {
          "c": "m13",
          "op": "withdraw",
          "amount": 2,
          "ms": 10,
          "how": "throw",
          "lagMs": 56
        },
        "id": "id-m13"
      },
      {
        "atMs": 5677,
        "node": "n2",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m53",
          "op": "deposit",
          "amount": 99,
          "ms": 2564,
          "how": "ok",
          "lagMs": 186
        },
        "id": "id-m53"
      },
      {
        "atMs": 5868,
        "node": "n3",
        "entity": "plain:3",
        "how": "wait",
        "job": {
          "c": "m0",
          "op": "withdraw",
          "amount": 23,
          "ms": 2468,
          "how": "ok",
          "lagMs": 897
        },
        "id": "id-m0",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 5960,
        "node": "n3",
        "entity": "retried:5",
        "how": "enqueue",
        "job": {
          "c": "m2",
          "op": "withdraw",
          "amount": 4,
          "ms": 8164,
          "how": "ok",
          "lagMs": 98
        }
      },
      {
        "atMs": 6066,
        "node": "n3",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m26",
          "op": "deposit",
          "amount": 26,
          "ms": 6506,
          "how": "throw-first",
          "lagMs": 843
        }
      },
      {
        "atMs": 6066,
        "node": "n3",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m27",
          "op": "read",
          "amount": 3,
          "ms": 2822,
          "how": "ok"
        }
      },
      {
        "atMs": 6066,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m28",
          "op": "deposit",
          "amount": 69,
          "ms": 1,
          "how": "throw-first",
          "lagMs": 846
        },
        "onTimeout": "withdraw"
      },
      {
        "atMs": 6066,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m29",
          "op": "read",
          "amount": 5,
          "ms": 1,
          "how": "ok",
          "lagMs": 14
        }
      },
      {
        "atMs": 6066,
        "node": "n3",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m30",
          "op": "deposit",
          "amount": 67,
          "ms": 4,
          "how": "ok",
          "lagMs": 27
        },
        "id": "id-m30"
      },
      {
        "atMs": 6217,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m12",
          "op": "deposit",
          "amount": 100,
          "ms": 3,
          "how": "ok",
          "lagMs": 867
        }
      },
      {
        "atMs": 6220,
        "node": "n1",
        "entity": "retried:8",
        "how": "enqueue",
        "job": {
          "c": "m103",
          "op": "deposit",
          "amount": 47,
          "ms": 3,
          "how": "refuse",
          "lagMs": 863
        },
        "id": "id-m103"
      },
      {
        "atMs": 6220,
        "node": "n1",
        "entity": "retried:8",
        "how": "enqueue",
        "job": {
          "c": "m104",
          "op": "deposit",
          "amount": 93,
          "ms": 1,
          "how": "ok"
        },
        "id": "id-m104"
      },
      {
        "atMs": 6248,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m66",
          "op": "read",
          "amount": 16,
          "ms": 3435,
          "how": "ok",
          "lagMs": 835
        },
        "id": "id-m66"
      },
      {
        "atMs": 6253,
        "node": "n1",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m45",
          "op": "withdraw",
          "amount": 21,
          "ms": 7645,
          "how": "ok",
          "lagMs": 545
        }
      },
      {
        "atMs": 6368,
        "node": "n1",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m5",
          "op": "deposit",
          "amount": 51,
          "ms": 0,
          "how": "ok",
          "lagMs": 820
        },
        "id": "id-m5"
      },
      {
        "atMs": 6412,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m24",
          "op": "withdraw",
          "amount": 26,
          "ms": 5818,
          "how": "ok"
        }
      },
      {
        "atMs": 6412,
        "node": "n3",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m25",
          "op": "read",
          "amount": 61,
          "ms": 6260,
          "how": "ok",
          "lagMs": 298
        },
        "id": "id-m25"
      },
      {
        "atMs": 6448,
        "node": "n3",
        "entity": "retried:8",
        "how": "wait",
        "job": {
          "c": "m98",
          "op": "deposit",
          "amount": 91,
          "ms": 2,
          "how": "throw-first",
          "lagMs": 603
        },
        "id": "id-m98",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 6555,
        "node": "n2",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m9",
          "op": "deposit",
          "amount": 79,
          "ms": 2670,
          "how": "ok",
          "lagMs": 853
        },
        "id": "id-m9"
      },
      {
        "atMs": 6731,
        "node": "n1",
        "entity": "plain:3",
        "how": "wait",
        "job": {
          "c": "m52",
          "op": "deposit",
          "amount": 88,
          "ms": 0,
          "how": "ok",
          "lagMs": 876
        }
      },
      {
        "atMs": 6742,
        "node": "n2",
        "entity": "fenced:10",
        "how": "wait",
        "job": {
          "c": "m72",
          "op": "deposit",
          "amount": 92,
          "ms": 1882,
          "how": "ok"
        },
        "id": "id-m72",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 7023,
        "node": "n3",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m79",
          "op": "deposit",
          "amount": 74,
          "ms": 3692,
          "how": "throw-first",
          "lagMs": 820
        },
        "id": "id-m79"
      },
      {
        "atMs": 7085,
        "node": "n1",
        "entity": "plain:0",
        "how": "enqueue",
        "job": {
          "c": "m74",
          "op": "withdraw",
          "amount": 50,
          "ms": 8422,
          "how": "ok",
          "lagMs": 866
        },
        "id": "id-m74"
      },
      {
        "atMs": 7186,
        "node": "n3",
        "entity": "plain:3",
        "how": "wait",
        "job": {
          "c": "m48",
          "op": "withdraw",
          "amount": 74,
          "ms": 4,
          "how": "throw-first",
          "lagMs": 866
        }
      },
      {
        "atMs": 7280,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m44",
          "op": "deposit",
          "amount": 82,
          "ms": 0,
          "how": "ok"
        },
        "id": "id-m44"
      },
      {
        "atMs": 7627,
        "node": "n1",
        "entity": "retried:2",
        "how": "wait",
        "job": {
          "c": "m17",
          "op": "withdraw",
          "amount": 4,
          "ms": 4,
          "how": "ok",
          "lagMs": 31
        },
        "id": "id-m17"
      },
      {
        "atMs": 7653,
        "node": "n3",
        "entity": "fenced:10",
        "how": "enqueue",
        "job": {
          "c": "m8",
          "op": "read",
          "amount": 96,
          "ms": 3520,
          "how": "refuse",
          "lagMs": 823
        }
      },
      {
        "atMs": 7941,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m78",
          "op": "read",
          "amount": 18,
          "ms": 5,
          "how": "ok",
          "lagMs": 825
        },
        "id": "id-m78"
      },
      {
        "atMs": 8032,
        "node": "n3",
        "entity": "fenced:4",
        "how": "wait",
        "job": {
          "c": "m64",
          "op": "deposit",
          "amount": 55,
          "ms": 4,
          "how": "ok",
          "lagMs": 875
        },
        "id": "id-m64",
        "onTimeout": "withdraw"
      },
      {
        "atMs": 8068,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m34",
          "op": "withdraw",
          "amount": 90,
          "ms": 0,
          "how": "ok",
          "lagMs": 840
        },
        "id": "id-m34"
      },
      {
        "atMs": 8182,
        "node": "n1",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m60",
          "op": "read",
          "amount": 22,
          "ms": 1962,
          "how": "ok",
          "lagMs": 609
        }
      },
      {
        "atMs": 8189,
        "node": "n2",
        "entity": "fenced:10",
        "how": "enqueue",
        "job": {
          "c": "m50",
          "op": "read",
          "amount": 26,
          "ms": 1,
          "how": "ok",
          "lagMs": 865
        }
      },
      {
        "atMs": 8249,
        "node": "n1",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m16",
          "op": "deposit",
          "amount": 24,
          "ms": 5,
          "how": "ok",
          "lagMs": 33
        },
        "id": "id-m16"
      },
      {
        "atMs": 8376,
        "node": "n1",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m100",
          "op": "deposit",
          "amount": 46,
          "ms": 1893,
          "how": "throw-first",
          "lagMs": 867
        },
        "id": "id-m100"
      },
      {
        "atMs": 8510,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m84",
          "op": "withdraw",
          "amount": 75,
          "ms": 1921,
          "how": "ok"
        },
        "onTimeout": "withdraw"
      },
      {
        "atMs": 8510,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m85",
          "op": "read",
          "amount": 19,
          "ms": 5361,
          "how": "refuse"
        }
      },
      {
        "atMs": 8510,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m86",
          "op": "deposit",
          "amount": 82,
          "ms": 3509,
          "how": "ok",
          "lagMs": 288
        },
        "id": "id-m86"
      },
      {
        "atMs": 8510,
        "node": "n3",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m87",
          "op": "deposit",
          "amount": 6,
          "ms": 5,
          "how": "throw-first",
          "lagMs": 900
        },
        "id": "id-m87"
      },
      {
        "atMs": 9012,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m80",
          "op": "read",
          "amount": 45,
          "ms": 4,
          "how": "ok",
          "lagMs": 838
        }
      },
      {
        "atMs": 9015,
        "node": "n3",
        "entity": "plain:6",
        "how": "enqueue",
        "job": {
          "c": "m23",
          "op": "deposit",
          "amount": 33,
          "ms": 0,
          "how": "throw"
        }
      },
      {
        "atMs": 9039,
        "node": "n2",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m90",
          "op": "read",
          "amount": 20,
          "ms": 2,
          "how": "refuse",
          "lagMs": 157
        }
      },
      {
        "atMs": 9400,
        "node": "n3",
        "entity": "fenced:1",
        "how": "enqueue",
        "job": {
          "c": "m77",
          "op": "deposit",
          "amount": 50,
          "ms": 4168,
          "how": "ok",
          "lagMs": 434
        }
      },
      {
        "atMs": 9479,
        "node": "n3",
        "entity": "plain:3",
        "how": "wait",
        "job": {
          "c": "m46",
          "op": "deposit",
          "amount": 86,
          "ms": 3,
          "how": "ok",
          "lagMs": 888
        },
        "id": "id-m46"
      },
      {
        "atMs": 9479,
        "node": "n3",
        "entity": "plain:3",
        "how": "enqueue",
        "job": {
          "c": "m47",
          "op": "withdraw",
          "amount": 66,
          "ms": 9017,
          "how": "ok",
          "lagMs": 884
        },
        "id": "id-m47"
      },
      {
        "atMs": 9566,
        "node": "n3",
        "entity": "retried:2",
        "how": "enqueue",
        "job": {
          "c": "m102",
          "op": "read",
          "amount": 86,
          "ms": 15,
          "how": "throw-first",
          "lagMs": 897
        }
      },
      {
        "atMs": 9611,
        "node": "n3",
        "entity": "fenced:1",
        "how": "wait",
        "job": {
          "c": "m99",
          "op": "deposit",
          "amount": 51,
          "ms": 5,
          "how": "ok",
          "lagMs": 603
        },
        "id": "id-m99"
      },
      {
        "atMs": 9692,
        "node": "n1",
        "entity": "plain:0",
        "how": "wait",
        "job": {
          "c": "m54",
          "op": "read",
          "amount": 36,
          "ms": 2,
          "how": "ok",
          "lagMs": 840
        },
        "id": "id-m54"
      }
    ],
    "faults": [
      {
        "atMs": 1341,
        "kind": "partitionPeers",
        "node": "n2",
        "forMs": 1766
      },
      {
        "atMs": 3117,
        "kind": "readyLost",
        "forMs": 0
      },
      {
        "atMs": 4334,
        "kind": "storeDelayMsWindow",
        "node": "n3",
        "aims": true,
        "forMs": 1420,
        "amount": 100
      },
      {
        "atMs": 4562,
        "kind": "partitionPeers",
        "node": "n3",
        "aims": true,
        "forMs": 708
      },
      {
        "atMs": 6994,
        "kind": "refuseOom",
        "node": "n1",
        "forMs": 672
      },
      {
        "atMs": 7106,
        "kind": "readyLost",
        "forMs": 0
      },
      {
        "atMs": 7218,
        "kind": "storeReorderWindow",
        "node": "n2",
        "aims": true,
        "forMs": 3347,
        "amount": 0.1
      },
      {
        "atMs": 7703,
        "kind": "storeJumpBack",
        "node": "n2",
        "aims": true,
        "forMs": 0,
        "amount": -50
      },
      {
        "atMs": 8798,
        "kind": "oneWay",
        "node": "n3",
        "forMs": 1055
      },
      {
        "atMs": 9030,
        "kind": "partitionPeers",
        "node": "n2",
        "forMs": 1535
      }
    ],
    "healAtMs": 10565,
    "gone": [],
    "hits": [
      "storeReorder n3 10",
      "storeReorder n3 13",
      "storeReorder n3 31"
    ]
  }
};
