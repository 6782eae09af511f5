/** Wall clocks of nodes that are libfaketime's, and follow a file; the monotonic ones stay the host's. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class FakeClocks {
  constructor(
    /** What has to be preloaded; undefined: clocks are real. */
    private readonly faketime: string | undefined,
    private readonly dir: string,
  ) {}

  /** Environment of a process whose clock starts right. */
  envOf(name: string): Readonly<Record<string, string>> {
    if (this.faketime === undefined) return {};
    this.jump(name, 0);
    const follow = {
      FAKETIME_TIMESTAMP_FILE: this.file(name),
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    return { LD_PRELOAD: this.faketime, ...follow };
  }

  /** To so many seconds ahead of the host's. */
  jump(name: string, seconds: number): void {
    writeFileSync(this.file(name), `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  private file(name: string): string {
    return join(this.dir, `${name}.clock`);
  }
}
