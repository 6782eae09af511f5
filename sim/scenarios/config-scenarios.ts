/** Processes that start with drawn configurations, some valid and some with one fault. */
import { type ResolvedConfig, resolveConfig } from '../../src/core/config.js';
import { AtomicQueuesError } from '../../src/core/errors.js';
import { mustAll } from '../value-calls.js';
import { type DrawnConfig, drawConfig, drawNoted, SECRET } from '../values/configs.js';
import { eventsOf, type Scenario } from './scenario.js';

/** Resolves a config as a process does before it starts its node. */
const resolvedOf = (config: unknown, nodeEnv = 'simulation'): ResolvedConfig =>
  resolveConfig(config, { nodeEnv, hostname: 'host', generateServerId: () => 'generated' });

function refusalOf(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

function configFault({ config, nodeEnv, fault }: DrawnConfig, error: unknown): string {
  const text = `${JSON.stringify(config)} in ${nodeEnv}`;
  if (fault === undefined) return error === undefined ? '' : `${text} is right, and is refused with ${String(error)}`;
  if (!(error instanceof AtomicQueuesError) || error.code !== 'CONFIG_INVALID')
    return `${text} is wrong at ${fault.path}, and got ${String(error)}`;
  if (JSON.stringify([error.message, error.details]).includes(SECRET))
    return `${fault.path}: the refusal shows a secret: ${error.message}`;
  const faults = error.details.faults as readonly { readonly path: string }[];
  const isNamed = faults.length === 1 && faults[0]?.path === fault.path && error.message.includes(`\n  ${fault.path}: got `);
  return isNamed && error.message.includes(fault.says ?? '')
    ? ''
    : `${text} is wrong at ${fault.path} (${fault.says}), and got ${error.message}`;
}

/** Returns how the settings of a resolved config differ from the expected ones; '' if they do not. */
function settingsFault(stream: { int(low: number, high: number): number }): string {
  const [a, b, c] = [stream.int(1, 99), stream.int(100, 999), stream.int(1000, 9999)];
  const config = resolvedOf({
    retry: { maxAttempts: a, backoffDelay: b },
    wal: { entryTTL: a, resultTTL: b, cleanupInterval: c },
    entities: { order: { retry: { maxDelay: c }, replyTimeout: a }, other: { retry: { maxAttempts: c, backoffDelay: 40_000 } } },
    deadLetters: { max: a, ttl: b },
    grpc: { serverId: 'inner', nodeTTLMs: 3 * b, heartbeatMs: b - 1, leaseMarginMs: 0 },
  });
  const [order, other, none] = ['order', 'other', 'none'].map((type) => config.entitySettings(type));
  const is = [
    config.serverId,
    config.wal.entryTTLMs,
    config.wal.resultTTLMs,
    config.deadLetters.ttlMs,
    config.timing.takeoverHoldMs,
    ...[order?.retry.maxAttempts, order?.retry.backoffDelayMs, order?.retry.maxDelayMs, order?.replyTimeoutMs],
    ...[other?.retry.maxAttempts, other?.retry.maxDelayMs, none?.retry.maxAttempts, none?.retry.maxDelayMs],
  ];
  const must = ['inner', a * 1000, b * 1000, b * 1000, 3 * b, a, b, c, a, c, 40_000, a, 30_000];
  return is.join() === must.join() ? '' : `the settings are ${is.join()}, and not ${must.join()}`;
}

export const CONFIG_SCENARIOS: readonly Scenario[] = [
  {
    name: 'drawn-configs',
    shows:
      'a process whose configuration has one fault refuses to start, names the field, and never joins; one without a fault starts',
    run(sim, must) {
      const stream = sim.world.stream('configs');
      sim.start('n1');
      sim.run(300);
      const drawn = Array.from({ length: 500 }, () => drawConfig(stream));
      mustAll(must, drawn, (one) =>
        configFault(
          one,
          refusalOf(() => resolvedOf(one.config, one.nodeEnv)),
        ),
      );
      // The cluster supplies the store and the environment, so a config that sets one of them is left out.
      const wrong = drawn
        .filter(
          ({ fault, config, nodeEnv }) =>
            fault !== undefined && nodeEnv === undefined && !('store' in config) && !('redis' in config),
        )
        .slice(0, 100);
      mustAll(must, wrong, ({ config, fault }, i = wrong.findIndex((one) => one.config === config)) => {
        const error = refusalOf(() => sim.add({ name: `wrong-${i}`, startMs: 0, group: 'default' }, { config }));
        return error instanceof AtomicQueuesError && error.code === 'CONFIG_INVALID'
          ? ''
          : `${fault?.path}: a process started, ${String(error)}`;
      });
      sim.run(500);
      must(
        'only the process with a right configuration is a member',
        eventsOf(sim, 'node').filter(({ state }) => state === 'joined').length === 1,
      );
    },
  },
  {
    name: 'drawn-settings',
    shows:
      'a process runs with what its configuration says, in ms, with defaults for the rest, and notes what is legal and risky',
    run(sim, must) {
      const stream = sim.world.stream('settings');
      mustAll(must, Array.from({ length: 20 }), () => settingsFault(stream));
      const noted = Array.from({ length: 100 }, () => drawNoted(stream));
      mustAll(must, noted, ({ config, notes }) => {
        const { notices } = resolvedOf(config);
        const isSame = notices.length === notes.length && notes.every((note, i) => notices[i]?.includes(note));
        return isSame ? '' : `${JSON.stringify(config)} is noted as ${notices.join('; ')}, and not as ${notes.join('; ')}`;
      });
      sim.add({ name: 'n1', startMs: 0, group: 'default' }, { config: { retry: { maxAttempts: 2 }, verbose: true } });
      sim.start('n1');
      sim.run(500);
      must(
        'a process with a right configuration joins',
        eventsOf(sim, 'node').some(({ state }) => state === 'joined'),
      );
    },
  },
  {
    name: 'starts-that-fail',
    shows: 'a start that fails says whether the configuration is wrong or the store is out of reach, and leaves no member',
    run(sim, must) {
      sim.start('n1');
      sim.run(300);
      sim.add({ name: 'twin', startMs: 0, group: 'default', serverId: 'n1' });
      sim.add({ name: 'apart', startMs: 0, group: 'default' });
      sim.gone.add('twin');
      sim.cutStore('apart');
      sim.start('twin', 'apart');
      sim.run(3000);
      const whyOf = (name: string) =>
        eventsOf(sim, 'node').find(({ node, state }) => node === name && state === 'start-failed')?.why ?? '';
      must(
        `the one with a name that is taken: ${whyOf('twin')}`,
        whyOf('twin').startsWith('AtomicQueuesError: [CONFIG_INVALID]'),
      );
      must(`the one without a store: ${whyOf('apart')}`, whyOf('apart').startsWith('AtomicQueuesError: [STORE_UNAVAILABLE]'));
      must('neither has joined', eventsOf(sim, 'node').filter(({ state }) => state === 'joined').length === 1);
    },
  },
];
