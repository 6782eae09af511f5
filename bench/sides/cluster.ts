/** Three nodes over gRPC: this process only calls; two others run the handlers and own all entities. */
import { ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../demo/machine.js';
import { FromOwner, OwnerOptions, ToOwner } from '../owner.js';
import { Witness } from '../witness.js';
import { sideOf, startApp } from './library.js';
import { StartSide } from './side.js';

const CALLER = 'caller';
const OWNERS = ['owner-1', 'owner-2'];
/** Time in ms until every node has a membership snapshot and the master has its assignment table. */
const SETTLE_MS = 4000;
/** Long lease in ms: a busy machine must not turn this into a measurement of take-overs. */
const NODE_TTL_MS = 10_000;

class Owner {
  private readonly child: ChildProcess;
  readonly ready: Promise<void>;
  private told: (seconds: number) => void = () => undefined;

  constructor(options: OwnerOptions, witness: Witness) {
    this.child = fork(new URL('../owner.js', import.meta.url), [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.ready = new Promise((resolve, reject) => {
      this.child.once('exit', (code) => reject(new Error(`${options.serverId} ended (${code})`)));
      this.child.on('message', (what: FromOwner) => {
        if (what.kind === 'ready') resolve();
        else if (what.kind === 'counted') witness.add(what.counts);
        else this.told(what.seconds);
      });
    });
  }

  cpuSeconds(): Promise<number> {
    return new Promise((resolve) => {
      this.told = resolve;
      this.child.send('cpu' satisfies ToOwner);
    });
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.send('close' satisfies ToOwner);
    await exited;
  }
}

export const startCluster: StartSide = async ({ redisPort = 0, idleTimeoutMs, witness }) => {
  const owners: Owner[] = [];
  for (const serverId of OWNERS)
    owners.push(
      new Owner(
        { redisPort, idleTimeoutMs, serverId, address: `127.0.0.1:${await freePort()}`, nodeTTLMs: NODE_TTL_MS },
        witness,
      ),
    );
  await Promise.all(owners.map(({ ready }) => ready));
  const address = `127.0.0.1:${await freePort()}`;
  const grpc = { enabled: true, listenAddress: address, advertisedAddress: address, nodeTTLMs: NODE_TTL_MS };
  const app = await startApp({ redisPort, idleTimeoutMs, witness: undefined }, { serverId: CALLER, grpc });
  await sleep(SETTLE_MS);
  const side = sideOf(app);
  return {
    ...side,
    othersCpuSeconds: async () => {
      const seconds = await Promise.all(owners.map((owner) => owner.cpuSeconds()));
      return seconds.reduce((sum, of) => sum + of, 0);
    },
    close: async () => {
      await side.close();
      await Promise.all(owners.map((owner) => owner.close()));
    },
  };
};
