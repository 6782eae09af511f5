import { defineConfig } from 'vitest/config';

// Set by scripts/test-nest11.mjs: where another Nest than the installed one is.
const nest = process.env.AQ_NEST_MODULES;

export default defineConfig({
  ...(nest === undefined
    ? {}
    : {
        resolve: {
          alias: [{ find: /^(@nestjs\/(?:common|core|cqrs|testing)|rxjs|reflect-metadata)/, replacement: `${nest}/$1` }],
        },
      }),
  // Nest injects by the types that decorators record; vite emits them only when told so.
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    include: ['test/**/*.spec.ts'],
    typecheck: { enabled: true, include: ['test/**/*.test-d.ts'], tsconfig: './tsconfig.json', ignoreSourceErrors: true },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
  },
});
