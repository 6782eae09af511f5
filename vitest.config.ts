import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Set by scripts/test-peers.mjs: where other versions of peers than the installed ones are, and which.
const { AQ_PEER_MODULES: peers, AQ_PEER_NAMES: peerNames } = process.env;

/** They take longest: at the end, one of them alone would keep the other worker waiting. */
const LONGEST = [
  'kill/kill',
  'sim/determinism',
  'sim/canaries',
  'grpc/network',
  'cli/status',
  'demo/demo',
  'runtime/recovery',
  'cluster/failover',
];

/** They judge leases of some hundred ms, or CPU time, so that nothing else may run beside them. */
const ALONE = ['test/nest/blocked-loop.spec.ts', 'test/cli/dlq.spec.ts'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.spec.ts`));
      return rank < 0 ? LONGEST.length : rank;
    };
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
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
    // The packed package in applications of several kinds takes as long as all else: npm run test:pack.
    projects:
      process.env.AQ_TEST_PACK === '1'
        ? [{ extends: true, test: { name: 'pack', include: ['test/pack/**/*.spec.ts'] } }]
        : [
            {
              extends: true,
              test: {
                name: 'many at once',
                include: ['test/**/*.spec.ts'],
                exclude: ['**/node_modules/**', 'test/pack/**', ...ALONE],
                typecheck: {
                  enabled: true,
                  include: ['test/**/*.test-d.ts'],
                  tsconfig: './tsconfig.json',
                  ignoreSourceErrors: true,
                },
                maxWorkers: 3,
                sequence: { sequencer: LongestFirst, groupOrder: 0 },
              },
            },
            { extends: true, test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } } },
          ],
    pool: 'forks',
    // They only end what hangs: beside other work of the machine a test takes many times as long as alone.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
  },
});
