/** The parent's end of one node (app.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { endsWithin } from '../../demo/ends-within.js';
import { examplesOf } from '../docs/examples.js';
import { type Transpiled, transpile, transpileText } from '../support/transpiled.js';
import type { AppOptions } from './app.js';

const PAGE = 'docs/guide.md';
const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 60_000;

/** The program, with the code of the page beside it. test/docs/docs.spec.ts compiles that under strict. */
export function program(name: string): Transpiled {
  const found = examplesOf(PAGE, readFileSync(PAGE, 'utf8')).find(({ file }) => file === 'close-in-order');
  if (found === undefined) throw new Error(`${PAGE} has no example close-in-order.ts`);
  const made = transpile(name, 'src', 'test/http');
  const code = found.code.replaceAll("from 'atomic-queues'", "from '../../src/index.js'");
  writeFileSync(`${made.dir}/test/http/close-in-order.js`, transpileText(code));
  return made;
}

export class AppProcess {
  readonly serverId: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  #stderr = '';
  port = 0;

  private constructor(serverId: string, child: ChildProcess) {
    this.serverId = serverId;
    this.#child = child;
    this.#exited = once(child, 'exit');
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4000);
    });
  }

  static async start({ dir }: Transpiled, options: AppOptions): Promise<AppProcess> {
    const path = `${dir}/test/http/app.js`;
    const child = fork(path, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const app = new AppProcess(options.config.serverId ?? '', child);
    const listens = once(app.#child, 'message').then(([port]) => {
      app.port = port as number;
    });
    await endsWithin(Promise.race([listens, app.#exited]), START_TIMEOUT_MS);
    if (app.port === 0) throw new Error(`it did not start: ${app.stderr}`);
    return app;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get stderr(): string {
    return this.#stderr;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Resolves with how the process has ended: an exit code, or a signal; SIGKILL if it did not end by itself. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    if (!(await endsWithin(this.#exited, END_TIMEOUT_MS))) this.kill();
    const [code, signal] = (await this.#exited) as [number | null, NodeJS.Signals | null];
    return code ?? signal;
  }
}
