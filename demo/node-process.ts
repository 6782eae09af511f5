/** The parent's side of one node process: sends messages to it, serves its handlers' bank calls, kills it or lets it close. */
import { ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BankAccess } from './bank.js';
import { Verdict } from './clients.js';
import { endsWithin } from './ends-within.js';
import { Deposit, Withdraw } from './messages.js';
import { BankAnswer, BankCall, FromNode, NodeOptions, ToNode, toPlain } from './wire.js';

const NODE = fileURLToPath(new URL('./node.js', import.meta.url));
const READY_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 60_000;

export class NodeProcess {
  readonly name: string;
  private readonly child: ChildProcess;
  private readonly asked = new Map<number, (verdict: Verdict) => void>();
  /** Ids of the messages whose handlers wait for the bank, by call number. */
  private readonly inBank = new Map<number, string>();
  private calls = 0;
  private stderr = '';
  private isWanted = true;
  private isKilled = false;
  private tellReady = (): void => undefined;
  /** Number of handlers that ran to their end on this node, counted by their last bank call. */
  runs = 0;

  constructor(
    options: NodeOptions,
    private readonly bank: BankAccess,
  ) {
    this.name = options.serverId;
    this.child = fork(NODE, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-2000);
    });
    this.child.on('message', (what: FromNode) => this.heard(what));
    this.child.once('exit', () => this.gone());
  }

  get isGone(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Why the demo cannot continue: the node ended although the demo neither killed nor closed it. */
  get fault(): string | undefined {
    if (!this.isGone || !this.isWanted) return undefined;
    return `${this.name} ended by itself (${this.child.exitCode ?? this.child.signalCode}) ${this.stderr}`;
  }

  async ready(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.name} did not start: ${this.stderr}`)), READY_TIMEOUT_MS);
      this.tellReady = () => {
        clearTimeout(late);
        resolve();
      };
    });
    if (this.fault !== undefined) throw new Error(this.fault);
  }

  /** Resolves with the verdict, or with 'unknown' if the node ends before it replies. */
  ask(message: Deposit | Withdraw, impatient: boolean): Promise<Verdict> {
    if (this.isGone) return Promise.resolve('unknown');
    const call = ++this.calls;
    return new Promise((resolve) => {
      this.asked.set(call, resolve);
      this.send({ kind: 'ask', call, message: toPlain(message), impatient });
    });
  }

  /** Returns the ids of the messages whose handlers wait for the bank. They certainly run, or ran when the node was killed. */
  running(): string[] {
    return [...this.inBank.values()];
  }

  kill(): void {
    this.isWanted = false;
    this.isKilled = true;
    this.child.kill('SIGKILL');
  }

  /** Stops the node gracefully. Resolves with its exit code, or null if it had to be killed. */
  async close(): Promise<number | null> {
    this.isWanted = false;
    if (this.isGone) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.send({ kind: 'close' });
    if (!(await endsWithin(exited, CLOSE_TIMEOUT_MS))) this.child.kill('SIGKILL');
    await exited;
    return this.child.exitCode;
  }

  private send(what: ToNode): void {
    // Ignore send errors: the exit event reports a node that has ended.
    if (this.child.connected) this.child.send(what, () => undefined);
  }

  private heard(what: FromNode): void {
    if (what.kind === 'ready') this.tellReady();
    else if (what.kind === 'verdict') {
      this.asked.get(what.call)?.(what.verdict);
      this.asked.delete(what.call);
    } else void this.serve(what);
  }

  private async serve({ call, messageId, what }: FromNode & { kind: 'bank' }): Promise<void> {
    this.inBank.set(call, messageId);
    const answer = await this.perform(what);
    if (what.do !== 'read') this.runs++;
    if (this.isKilled) return;
    this.inBank.delete(call);
    this.send({ kind: 'bank-answer', call, answer });
  }

  private perform(what: BankCall): Promise<BankAnswer> {
    if (what.do === 'read') return this.bank.read(what.accountId);
    if (what.do === 'write') return this.bank.write(what.before, what.deltaCents, what.ref);
    return this.bank.refuse(what.ref, what.reason) as Promise<undefined>;
  }

  private gone(): void {
    this.tellReady();
    for (const tell of this.asked.values()) tell('unknown');
    this.asked.clear();
  }
}
