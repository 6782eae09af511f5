import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Set by scripts/test-peers.mjs: where other versions of peers than the installed ones are, and which.
const { AQ_PEER_MODULES: peers, AQ_PEER_NAMES: peerNames } = process.env;

/**
 * Whole systems: campaigns over processes, HTTP under load, canaries, the command line as a process. They take as long as all other
 * tests: npm run test:systems.
 */
const SYSTEMS = [
  'test/{kill,cluster,http,demo}/**/*.spec.ts',
  'test/sim/{canaries,determinism}.spec.ts',
  'test/cli/{status,shut,generate,codegen,page}.spec.ts',
  'test/docs/console.spec.ts',
  'test/redis/{refused-node,lost-keys,full}.spec.ts',
  'test/{nest/process,nest/stops,grpc/processes}.spec.ts',
];

/** In that set alone, with up to 10^5 items; in `npm test` with up to 10^4. */
const COSTS = ['test/redis/costs.spec.ts'];

/** Part of that set. They judge leases of some hundred ms, or CPU time, so that nothing else may run beside them. */
const ALONE = ['test/nest/blocked-loop.spec.ts', 'test/cli/dlq.spec.ts'];

/** The packed package in applications of several kinds, and what bundlers make of it: npm run test:pack. */
const PACK = ['test/pack/**/*.spec.ts', 'test/nest/bundle.spec.ts'];

/** These files change no global state, so a worker loads the modules once for all of them. */
const SHARED = ['test/{contract,core,runtime,memory,redis,cli,grpc}/**/*.spec.ts'];

/** They take longest: at the end, one of them alone would keep the other workers waiting. */
const LONGEST = ['sim/canaries', 'sim/determinism', 'cli/status', 'docs/console', 'contract/store', 'docs/docs', 'grpc/network'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.spec.ts`));
      return rank < 0 ? LONGEST.length : rank;
    };
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

type Project = Exclude<TestProjectConfiguration, string | Promise<unknown> | ((...args: never[]) => unknown)>;

const project = (name: string, include: string[], test: Project['test'] = {}): Project => ({
  extends: true,
  test: { name, include, ...test, sequence: { sequencer: LongestFirst, groupOrder: 0, ...test.sequence } },
});

const systems = (): Project[] => [
  project('systems', SYSTEMS),
  project('alone', [...ALONE, ...COSTS], { maxWorkers: 1, sequence: { groupOrder: 1 } }),
];

const tests = (): Project[] => [
  project('shared', SHARED, { isolate: false, exclude: ['**/node_modules/**', ...SYSTEMS, ...ALONE] }),
  project('isolated', ['test/**/*.spec.ts'], {
    exclude: ['**/node_modules/**', ...SHARED, ...SYSTEMS, ...ALONE, ...PACK],
    typecheck: { enabled: true, include: ['test/**/*.test-d.ts'], tsconfig: './tsconfig.types.json', ignoreSourceErrors: true },
  }),
];

function projects(which = 'tests'): Project[] {
  if (which === 'tests') return tests();
  if (which === 'systems') return systems();
  if (which === 'pack') return [project('pack', PACK, { globalSetup: './test/pack/tarball.ts' })];
  throw new Error(`AQ_TEST=${which}: must be tests, systems or pack`);
}

export default defineConfig({
  ...(peers === undefined
    ? {}
    : {
        resolve: {
          alias: [{ find: new RegExp(`^(${peerNames})`), replacement: `${peers}/$1` }],
        },
      }),
  // Nest injects by the types that decorators record; vite emits them only when told so.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    projects: projects(process.env.AQ_TEST),
    pool: 'forks',
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // They only end a test that hangs: beside other work of the machine a test takes many times as long as alone.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    teardownTimeout: 10_000,
  },
});
