/** The parent's end of one node (app.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { endsWithin } from '../../demo/ends-within.js';
import type { Answer, AppOptions, News, Order } from './app.js';

const READY_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 60_000;
const GONE: Answer = { ok: false, code: 'GONE', definite: false, text: 'the process is gone' };

export class AppProcess {
  readonly serverId: string;
  readonly #child: ChildProcess;
  readonly #open = new Map<number, (answer: Answer) => void>();
  readonly #began = new Map<string, () => void>();
  #calls = 0;
  #onReady = (): void => undefined;
  #stderr = '';

  /** `program`: app.ts, compiled. */
  constructor(program: string, options: AppOptions) {
    this.serverId = options.serverId;
    this.#child = fork(program, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
    this.#child.on('message', (news: News) => this.#heard(news));
    this.#child.once('exit', () => {
      this.#onReady();
      for (const tell of this.#open.values()) tell(GONE);
    });
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async ready(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.serverId} did not start: ${this.#stderr}`)), READY_TIMEOUT_MS);
      this.#onReady = () => {
        clearTimeout(late);
        resolve();
      };
    });
    if (this.isGone) throw new Error(`${this.serverId} did not start: ${this.#stderr}`);
    return this;
  }

  /** A caller at this node. */
  call(order: Omit<Order, 'call'>): Promise<Answer> {
    if (this.isGone) return Promise.resolve(GONE);
    const call = ++this.#calls;
    return new Promise((resolve) => {
      this.#open.set(call, resolve);
      this.#child.send({ call, ...order } satisfies Order);
    });
  }

  /** Resolves when the next handler of that entity begins here. */
  began(id: string): Promise<void> {
    return new Promise((resolve) => this.#began.set(id, resolve));
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Answers how the process has ended: an exit code, or a signal; SIGKILL if it did not end by itself. */
  async terminate(): Promise<number | NodeJS.Signals | null> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    if (!(await endsWithin(exited, CLOSE_TIMEOUT_MS))) this.kill();
    const [code, signal] = (await exited) as [number | null, NodeJS.Signals | null];
    return code ?? signal;
  }

  #heard(news: News): void {
    if (news.kind === 'ready') this.#onReady();
    else if (news.kind === 'began') {
      this.#began.get(news.id)?.();
      this.#began.delete(news.id);
    } else {
      this.#open.get(news.call)?.(news.answer);
      this.#open.delete(news.call);
    }
  }
}
