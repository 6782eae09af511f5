/** A node's network in a process of its own, driven over IPC. */
import { GrpcNetwork } from '../../src/grpc/network.js';
import type { NetworkPeer } from '../../src/ports/network.js';
import { entityOf, GENERATION, grpcOptions, wake } from './support.js';

export type Command =
  | { readonly do: 'update'; readonly peers: readonly NetworkPeer[] }
  | { readonly do: 'send'; readonly to: number; readonly entity: string; readonly count: number }
  | { readonly do: 'report' };

export type Report =
  | { readonly says: 'port'; readonly port: number }
  | { readonly says: 'report'; readonly got: readonly string[]; readonly expired: number };

const [incarnation = '0', serverId = ''] = process.argv.slice(2);
const say = (report: Report): void => void process.send?.(report);
const got: string[] = [];
const network = new GrpcNetwork(grpcOptions(serverId));
network.listen(Number(incarnation), (what) => got.push(entityOf(what)));
await network.open();
say({ says: 'port', port: network.port });

process.on('disconnect', () => process.exit(0));
process.on('message', (command: Command) => {
  if (command.do === 'update') network.update({ generation: GENERATION, storeNowMs: Date.now(), peers: command.peers });
  else if (command.do === 'send') for (let i = 0; i < command.count; i++) network.send(command.to, wake(command.entity));
  else say({ says: 'report', got, expired: network.stats().expired });
});
