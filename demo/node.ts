/** One node of the demo's cluster, in a separate process. Its handlers call the bank over IPC, as a service calls a database. */
import 'reflect-metadata';
import { EntityContext, QueueBus } from '../src/index.js';
import { askOnce, startBankApp } from './app.js';
import { BankAccess, Snapshot } from './bank.js';
import { BankAnswer, BankCall, FromNode, fromPlain, NodeOptions, ToNode } from './wire.js';

const tell = (what: FromNode): void => void process.send?.(what);

class RemoteBank implements BankAccess {
  private readonly open = new Map<number, (answer: BankAnswer) => void>();
  private calls = 0;

  read(accountId: string): Promise<Snapshot> {
    return this.call({ do: 'read', accountId }) as Promise<Snapshot>;
  }

  write(before: Snapshot, deltaCents: number, ref: string): Promise<number> {
    return this.call({ do: 'write', before, deltaCents, ref }) as Promise<number>;
  }

  refuse(ref: string, reason: string): Promise<void> {
    return this.call({ do: 'refuse', ref, reason }) as Promise<void>;
  }

  answered(call: number, answer: BankAnswer): void {
    this.open.get(call)?.(answer);
    this.open.delete(call);
  }

  private call(what: BankCall): Promise<BankAnswer> {
    const call = ++this.calls;
    tell({ kind: 'bank', call, messageId: EntityContext.current().messageId, what });
    return new Promise((resolve) => this.open.set(call, resolve));
  }
}

async function main({ redisUrl, keyPrefix, serverId, address }: NodeOptions): Promise<void> {
  // End this node when the parent process ends.
  process.on('disconnect', () => process.exit(1));
  const bank = new RemoteBank();
  const grpc = { enabled: true, listenAddress: address, advertisedAddress: address };
  const app = await startBankApp(bank, { redis: { url: redisUrl }, keyPrefix, serverId, grpc });
  const bus: QueueBus = app.get(QueueBus);
  process.on('message', (what: ToNode) => {
    if (what.kind === 'bank-answer') bank.answered(what.call, what.answer);
    else if (what.kind === 'close') void app.close().then(() => process.exit(0));
    else {
      const { call } = what;
      void askOnce(bus, fromPlain(what.message), what.impatient).then((verdict) => tell({ kind: 'verdict', call, verdict }));
    }
  });
  tell({ kind: 'ready' });
}

await main(JSON.parse(process.argv[2] ?? '{}') as NodeOptions);
