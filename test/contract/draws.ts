/** What fast-check draws for the store contract: abstract commands, which the driver turns into calls. */
import fc from 'fast-check';
import type { Settings } from '../../src/core/log/control-operations.js';

const small = fc.nat(1000);
const opArb = fc.record({
  kind: fc.constantFrom(
    ...(['append', 'append', 'append', 'append', 'claim', 'claim', 'begin', 'begin', 'finish', 'finish', 'finish'] as const),
    ...(['retry', 'retry', 'withdraw', 'release', 'takeover', 'takeover', 'late', 'late', 'expire', 'shed'] as const),
  ),
  entity: small,
  x: small,
  y: small,
  z: small,
  bent: fc.integer({ min: 0, max: 9 }),
});
export type OpCommand = typeof opArb extends fc.Arbitrary<infer T> ? T : never;

const commandArb = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({ do: fc.constant('batch' as const), node: small, ops: fc.array(opArb, { maxLength: 6 }) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('traffic' as const),
      node: small,
      x: small,
      steps: fc.array(fc.record({ entity: small, x: small, y: small }), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      node: small,
      ops: fc.array(opArb, { minLength: 30, maxLength: 40, size: 'max' }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('copy' as const), node: small, back: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('overtaken' as const),
      node: small,
      ops: fc.array(opArb, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const), byMs: fc.constantFrom(1, 5, 40, 200, 1000) }) },
  // The clock of the server is set back.
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tick' as const), byMs: fc.constantFrom(-1, -30, -400) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), node: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dies' as const), node: small, x: small }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('failovers' as const), x: small }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('edge' as const),
      of: fc.constantFrom(...(['retention', 'hold', 'shed'] as const)),
      node: small,
      x: small,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('otherGeneration' as const), node: small }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('control' as const),
      kind: fc.constantFrom(
        ...(['join', 'join', 'heartbeat', 'heartbeat', 'leave', 'evict', 'evict', 'lead', 'lead', 'report'] as const),
        ...(['replay', 'replay', 'replay', 'purge', 'closeStore'] as const),
        ...([
          'members',
          'ready',
          'owned',
          'lookup',
          'letters',
          'letters',
          'schemas',
          'entity',
          'history',
          'survey',
          'counts',
          'audit',
        ] as const),
      ),
      node: small,
      x: small,
      y: small,
    }),
  },
);
export type Command = typeof commandArb extends fc.Arbitrary<infer T> ? T : never;
export type Traffic = Extract<Command, { do: 'traffic' }>;

const settingsArb = fc.record({
  leaseTtlMs: fc.constantFrom(20, 100),
  takeoverHoldMs: fc.constantFrom(0, 30),
  entryTtlMs: fc.constantFrom(50, 400),
  resultTtlMs: fc.constantFrom(20, 400),
  depthMax: fc.constantFrom(0, 3, 8),
  leaderTtlMs: fc.constantFrom(30, 100),
  leaderDebounceMs: fc.constantFrom(0, 10),
});

/** `commandsMax`: so many commands at the most. */
export const scenarioArb = (commandsMax: number) =>
  fc.record({
    settings: settingsArb,
    /** Used by every second life of a process: the store takes the settings of the newest member. */
    otherSettings: settingsArb,
    workersMax: fc.constantFrom(0, 1, 2),
    commands: fc.array(commandArb, { minLength: 5, maxLength: commandsMax, size: 'max' }),
  });
export type Scenario = {
  readonly settings: Settings;
  readonly otherSettings: Settings;
  readonly workersMax: number;
  readonly commands: readonly Command[];
};
