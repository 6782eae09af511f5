/** Wall clocks of nodes, faked by libfaketime, which follow a file. The monotonic clocks stay real. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class FakeClocks {
  constructor(
    /** Path of the library to preload. Undefined: the clocks are real. */
    private readonly faketime: string | undefined,
    private readonly dir: string,
  ) {}

  /** Returns the environment of a process whose wall clock starts without an offset. */
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

  /** Sets the wall clock of a node to this many seconds ahead of the host's. */
  jump(name: string, seconds: number): void {
    writeFileSync(this.file(name), `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  private file(name: string): string {
    return join(this.dir, `${name}.clock`);
  }
}
