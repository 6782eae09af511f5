/** Applications on Redis that are closed at every request of their start, and after it; what is left of them is looked at. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../demo/machine.js';
import { describeRedis, type RedisServer, startRedis } from '../support/redis-server.js';
import { type Transpiled, transpile } from '../support/transpiled.js';
import type { StopCase, StopReport, StopsOrder } from './process/stops.js';

const CALL_TIMEOUT_MS = 300;
const GRACE_MS = 400;
const TIMING = {
  ...{ heartbeatMs: 60, nodeTTLMs: 800, leaseMarginMs: 50, takeoverHoldMs: 100, reconcileIntervalMs: 100 },
  ...{ leaderTTLMs: 800, leaderRenewalMs: 60, redisHealthCheckMs: 100 },
};
/** Of what a stop may wait for on a dead link: the drain, the join or depth, the leave, the network. And a loaded machine. */
const STOP_MS_MAX = GRACE_MS + 3 * CALL_TIMEOUT_MS + 500 + 1500;

let code: Transpiled;
let server: RedisServer;
let peers: ChildProcess[];

const program = (): string => join(code.dir, 'test/nest/process/stops.js');

function configOf(serverId: string, grpcPort: number | undefined): StopsOrder['config'] {
  const grpc = grpcPort === undefined ? {} : { enabled: true, listenAddress: `127.0.0.1:${grpcPort}` };
  return {
    ...{ serverId, keyPrefix: 'aq', storeCallTimeoutMs: CALL_TIMEOUT_MS, shutdownGraceMs: GRACE_MS },
    grpc: { ...TIMING, ...grpc, ...(grpcPort === undefined ? {} : { advertisedAddress: `127.0.0.1:${grpcPort}` }) },
  };
}

function start(order: StopsOrder, onLine: (line: string) => void): ChildProcess {
  const child = spawn(process.execPath, ['--expose-gc', program(), JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  return child;
}

/** Plays the cases one after another, in one process. */
function play(cases: readonly StopCase[], grpcPort: number | undefined): Promise<StopReport[]> {
  const reports: StopReport[] = [];
  const order = { redisPort: server.port, config: configOf('n1', grpcPort), grpcPort, cases };
  return new Promise((resolve, reject) => {
    const child = start(order, (line) => reports.push(JSON.parse(line) as StopReport));
    child.on('close', (exitCode) => {
      if (exitCode === 0 && reports.length === cases.length) resolve(reports);
      else reject(new Error(`the program ended with ${exitCode} after ${reports.length} of ${cases.length} cases`));
    });
  });
}

async function withPeer(grpcPort: number | undefined, serverId = 'n2'): Promise<void> {
  const order = { redisPort: server.port, config: configOf(serverId, grpcPort), grpcPort, cases: 'peer' as const };
  await new Promise<void>((resolve) => {
    peers.push(start(order, () => resolve()));
  });
}

const faultsOf = (reports: readonly StopReport[], cases: readonly StopCase[]): unknown[] =>
  reports.flatMap((report, i) => {
    const isEnded = report.outcome === 'SHUTTING_DOWN' || report.outcome === 'started';
    const isWithinBounds = report.stopMs >= 0 && report.stopMs < STOP_MS_MAX;
    return isEnded && isWithinBounds && report.faults.length === 0 ? [] : [{ ...cases[i], ...report }];
  });

describeRedis(
  'an application on Redis that is closed',
  () => {
    beforeAll(() => {
      code = transpile('nest-stops', 'src', 'test/nest/process', 'test/redis');
    });
    afterAll(() => code.remove());
    beforeEach(async () => {
      server = await startRedis();
      peers = [];
    });
    afterEach(async () => {
      for (const peer of peers) peer.kill('SIGKILL');
      await server.stop();
    });

    const NETWORKS = ['pub/sub', 'gRPC'] as const;
    const portOf = async (network: (typeof NETWORKS)[number]): Promise<number | undefined> =>
      network === 'gRPC' ? freePort() : undefined;

    test.each(NETWORKS)(
      'at each request of its start, over %s: leaves nothing behind, and the next one works',
      async (network) => {
        const port = await portOf(network);
        await withPeer(await portOf(network));
        // More than a start makes: the last of them are closed right after it.
        const cases = Array.from({ length: 24 }, (_, atRequest) => ({ atRequest, isStranded: false }));
        const reports = await play(cases, port);
        expect(faultsOf(reports, cases)).toEqual([]);
      },
    );

    test.each(NETWORKS)('while it waits for another node of its serverId, over %s: at once', async (network) => {
      await withPeer(await portOf(network), 'n1');
      const cases = [10, 20, 30].map((atRequest) => ({ atRequest, isStranded: false }));
      const reports = await play(cases, await portOf(network));
      const ofPeer = { outcome: 'SHUTTING_DOWN', isReached: true, faults: [expect.stringMatching(/^member \d+ is left$/)] };
      expect(reports).toEqual(cases.map(() => ({ ...ofPeer, stopMs: expect.any(Number) })));
      for (const { stopMs } of reports) expect(stopMs).toBeLessThan(CALL_TIMEOUT_MS + 500);
    });

    test.each(NETWORKS)(
      'while the link to Redis is half open, at requests of its start and after it, over %s',
      async (network) => {
        const cases = ['work' as const, 0, ...Array.from({ length: 14 }, (_, i) => 1 + 2 * i)].map((atRequest) => ({
          ...{ atRequest, isStranded: true },
        }));
        const reports = await play(cases, await portOf(network));
        expect(faultsOf(reports, cases)).toEqual([]);
      },
    );
  },
  { own: true },
);
