/** The harness's side of all nodes: their connections, and the bank that their handlers change. The bank outlives every node. */
import { createServer, type Server } from 'node:net';
import { Bank } from '../sim/bank.js';
import type { Tell } from './store-log.js';
import {
  type BankAnswer,
  type BankAsk,
  type FromNode,
  Lines,
  type NodeStatus,
  type Send,
  type Told,
  type ToNode,
} from './wire.js';

const STATUS_TIMEOUT_MS = 2000;
const NO_STATUS: NodeStatus = {
  ...{ state: 'silent', running: 0, waiting: 0, owned: 0, suspended: false, degraded: false, wallMs: 0, links: {} },
};

/** A node's process that has said hello. */
export class Peer {
  ready = false;
  private isGone = false;
  private n = 0;
  private readonly calls = new Map<number, (told: Told | undefined) => void>();
  private readonly statuses = new Map<number, (status: NodeStatus) => void>();

  constructor(
    readonly name: string,
    readonly run: number,
    private readonly lines: Lines<FromNode, ToNode>,
  ) {}

  /** Makes a call through this node. Resolves with undefined if the process ends before it has replied. */
  call(send: Send): Promise<Told | undefined> {
    if (this.isGone) return Promise.resolve(undefined);
    const n = ++this.n;
    this.lines.send({ kind: 'send', n, send });
    return new Promise((resolve) => this.calls.set(n, resolve));
  }

  status(): Promise<NodeStatus> {
    if (this.isGone) return Promise.resolve(NO_STATUS);
    const n = ++this.n;
    this.lines.send({ kind: 'status', n });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(NO_STATUS), STATUS_TIMEOUT_MS);
      this.statuses.set(n, (status) => {
        clearTimeout(timer);
        resolve(status);
      });
    });
  }

  tell(message: ToNode): void {
    this.lines.send(message);
  }

  answered(message: FromNode): void {
    if (message.kind === 'ready') this.ready = true;
    else if (message.kind === 'told') {
      this.calls.get(message.n)?.(message.told);
      this.calls.delete(message.n);
    } else if (message.kind === 'status') {
      this.statuses.get(message.n)?.(message.status);
      this.statuses.delete(message.n);
    }
  }

  gone(): void {
    this.ready = false;
    this.isGone = true;
    for (const resolve of this.calls.values()) resolve(undefined);
    this.calls.clear();
    for (const resolve of this.statuses.values()) resolve(NO_STATUS);
    this.statuses.clear();
  }
}

export class Control {
  readonly bank = new Bank();
  readonly peers = new Map<string, Peer>();
  /** Name of the node whose handler last read an account, by account. */
  readonly readers = new Map<string, string>();

  private constructor(
    private readonly server: Server,
    private readonly nowMs: () => number,
    private readonly tell: Tell,
  ) {
    server.on('connection', (socket) => {
      let peer: Peer | undefined;
      const lines: Lines<FromNode, ToNode> = new Lines(socket, (message) => {
        if (message.kind === 'hello') {
          peer = new Peer(message.name, message.run, lines);
          this.peers.set(message.name, peer);
        } else if (message.kind === 'ask') {
          const answer = this.serve(peer?.name ?? '', message.ask);
          lines.send({ kind: 'answer', n: message.n, answer });
        } else peer?.answered(message);
      });
      socket.on('error', () => undefined);
      socket.on('close', () => peer?.gone());
    });
  }

  static async open(host: string, nowMs: () => number, tell: Tell): Promise<Control> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, resolve);
    });
    return new Control(server, nowMs, tell);
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the control port is closed');
    return address.port;
  }

  /**
   * Carries out one step of a handler, a read or a write. On a fenced account each step claims the row: see the fence in
   * docs/guide.md.
   */
  private serve(node: string, ask: BankAsk): BankAnswer {
    const { entity, seq, incarnation, fence, fenced, journal } = ask;
    if (ask.do === 'read') this.readers.set(entity, node);
    const account = this.bank.account(entity);
    const known = ask.do === 'write' && journal ? account.journal.get(seq) : undefined;
    if (known !== undefined) return { accepted: true, balance: known };
    const accepted = !fenced || this.bank.admits(entity, fence);
    if (accepted && ask.do === 'write') {
      account.balance = ask.balance;
      account.journal.set(seq, ask.balance);
    }
    const { balance } = account;
    this.tell(this.nowMs(), { kind: 'effect', node, incarnation, entity, seq, fence, what: ask.do, accepted, balance });
    return { accepted, balance };
  }

  close(): void {
    this.server.close();
  }
}
