/** Tries mutants, several at once, each in the tree of its worker. */
import type { Cover } from './cover-run.js';
import type { Mutant } from './mutant.js';
import type { Options } from './options.js';
import type { Result, ResultFile } from './results.js';
import { type Outcome, playSim, runTests } from './stages.js';
import { Tree } from './tree.js';

const TESTS_MS_MAX = 8 * 60_000;

export interface Run {
  readonly options: Options;
  readonly texts: ReadonlyMap<string, string>;
  readonly results: ResultFile;
  readonly cover: Cover;
  /** Called with each result as it comes. */
  readonly onResult: (mutant: Mutant, result: Result) => void;
}

export class Runner {
  private readonly queue: Mutant[];

  constructor(
    private readonly run: Run,
    mutants: readonly Mutant[],
  ) {
    this.queue = [...mutants];
  }

  async runAll(): Promise<void> {
    const { workers } = this.run.options;
    const trees = Array.from({ length: Math.min(workers, this.queue.length) }, (_, i) => new Tree(i + 1));
    await Promise.all(trees.map((tree) => this.work(tree)));
    for (const tree of trees) tree.remove();
  }

  private async work(tree: Tree): Promise<void> {
    for (let mutant = this.queue.shift(); mutant !== undefined; mutant = this.queue.shift()) await this.tryOne(tree, mutant);
  }

  private async tryOne(tree: Tree, mutant: Mutant): Promise<void> {
    const { options, results, texts, cover } = this.run;
    const sim = results.of(mutant.id, 'sim');
    const isDone = sim !== undefined && (sim.outcome !== 'survived' || options.stage === 'sim');
    if (isDone || results.of(mutant.id, 'tests') !== undefined) return;
    const text = texts.get(mutant.path) as string;
    if (!tree.put(mutant, text)) {
      this.record(mutant, 'sim', { outcome: 'invalid', ms: 0 });
      return;
    }
    const survives = sim !== undefined || this.record(mutant, 'sim', await playSim(tree, cover.playablesFor(mutant)));
    if (survives && options.stage === 'tests')
      this.record(mutant, 'tests', await runTests(tree, cover.stepsFor(mutant), TESTS_MS_MAX));
    tree.restore(mutant, text);
  }

  /** Returns whether it survives. */
  private record(mutant: Mutant, stage: Result['stage'], { outcome, by, what, isSeen, reached, ms }: Outcome): boolean {
    const result = { id: mutant.id, stage, outcome, by, what, isSeen, reached, ms };
    this.run.results.add(result);
    this.run.onResult(mutant, result);
    return outcome === 'survived';
  }
}
