/** The app as a process of its own, to be killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endsWithin } from '../../demo/ends-within.js';
import type { AppNews, AppOptions } from './app.js';
import type { Resend } from './driver.js';
import { RecordWriter, recordPath } from './record.js';

const APP = fileURLToPath(new URL('./app.js', import.meta.url));
const NEWS_TIMEOUT_MS = 90_000;
const CLOSE_TIMEOUT_MS = 60_000;

export class AppProcess {
  readonly #options: AppOptions;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #news = new Set<AppNews>();
  #onNews = (): void => undefined;
  #isKilled = false;
  stderr = '';

  constructor(options: Omit<AppOptions, 'resendsPath'>, resends: readonly Resend[]) {
    const resendsPath = `${options.dir}/resends-${options.run}.json`;
    writeFileSync(resendsPath, JSON.stringify(resends));
    this.#options = { ...options, resendsPath };
    this.#child = fork(APP, [JSON.stringify(this.#options)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-4000);
    });
    this.#child.on('message', (news: AppNews) => {
      this.#news.add(news);
      this.#onNews();
    });
    this.#exited = new Promise((resolve) => this.#child.once('exit', (code) => resolve(this.#noteExit(code))));
  }

  get run(): number {
    return this.#options.run;
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #noteExit(code: number | null): void {
    const { dir, run } = this.#options;
    const record = new RecordWriter(recordPath(dir, run), run);
    // What the process wrote last may be a torn line.
    record.breakLine();
    record.write({ kind: 'exit', killed: this.#isKilled, code });
    record.close();
    this.#onNews();
  }

  /** Resolves when the app has said it, or is gone. */
  async heard(news: AppNews): Promise<void> {
    if (this.#news.has(news) || this.isGone) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`run ${this.run} did not say "${news}": ${this.stderr}`)), NEWS_TIMEOUT_MS);
      this.#onNews = () => {
        if (!this.#news.has(news) && !this.isGone) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** kill -9; resolves when the process is gone and its end is recorded. */
  async kill(): Promise<void> {
    if (!this.isGone) {
      this.#isKilled = true;
      this.#child.kill('SIGKILL');
    }
    await this.#exited;
  }

  /** Lets the app close in good order: SIGTERM. */
  async close(): Promise<void> {
    if (!this.isGone) this.#child.kill('SIGTERM');
    if (await endsWithin(this.#exited, CLOSE_TIMEOUT_MS)) return;
    throw new Error(`run ${this.run} did not close within ${CLOSE_TIMEOUT_MS} ms: ${this.stderr}`);
  }
}
