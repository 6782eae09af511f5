/** What came of each mutant in each stage, kept as JSON lines so that a run that was cut can go on. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export type Stage = 'sim' | 'tests';

export type Killer = 'seeds' | 'scenarios' | 'tests';

export interface Result {
  readonly id: string;
  readonly stage: Stage;
  /** `invalid`: the change made it no program, so it counts as no mutant. */
  readonly outcome: 'killed' | 'survived' | 'invalid';
  readonly by?: Killer;
  /** What killed it: the seed with its invariant, the scenario, the test, or a time limit. */
  readonly what?: string;
  /** Of a survivor of the simulator: whether any seed played differently at all. */
  readonly isSeen?: boolean;
  /** Seeds and scenarios, or test files, that reach its block. */
  readonly reached?: number;
  readonly ms: number;
}

/** What results depend on: they are worth nothing beside those of another run. */
export type Terms = Readonly<Record<string, string | number>>;

export class ResultFile {
  readonly results: Result[] = [];

  constructor(
    private readonly path: string,
    terms: Terms,
    isResumed: boolean,
  ) {
    const [first, ...lines] = isResumed && existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
    const header = JSON.stringify(terms);
    if (first !== undefined && first !== header) throw new ResumeError(`${path} is of other code or options: leave --resume out`);
    this.results.push(...lines.map((line) => JSON.parse(line) as Result));
    mkdirSync(dirname(path), { recursive: true });
    if (first === undefined) writeFileSync(path, `${header}\n`);
  }

  of(id: string, stage: Stage): Result | undefined {
    return this.results.find((result) => result.id === id && result.stage === stage);
  }

  add(result: Result): void {
    this.results.push(result);
    appendFileSync(this.path, `${JSON.stringify(result)}\n`);
  }
}

export class ResumeError extends Error {
  override readonly name = 'ResumeError';
}
