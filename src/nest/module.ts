import {
  ConfigurableModuleBuilder,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
  Optional,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ModulesContainer } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import type { AtomicQueuesConfig } from '../core/config/types.js';
import { AtomicQueuesError } from '../core/errors.js';
import { providersForCopies } from './copies.js';
import { DeadLetters } from './dead-letters.js';
import { AtomicQueuesHost } from './host.js';
import { QueueBus } from './queue-bus.js';

// Symbols of the global registry: this copy must detect another copy of the package in the same application.
const HOST = Symbol.for('atomic-queues:host');
const OPTIONS = Symbol.for('atomic-queues:options');
const IS_QUEUES_MODULE = Symbol.for('atomic-queues:module');

/**
 * Nest orders the hooks of modules by distance from the root: a more distant module starts earlier and ends later. The position
 * of this module in a user's imports must not decide whether a database pool closes before the handlers that use it have ended.
 * So these modules set their own distance. Handlers are explored before the hooks of the root. The node starts after every other
 * bootstrap hook: no hook can fail or be half done while handlers run. The node drains before any other module is destroyed.
 */
const EXPLORE_BEFORE_ROOT = 0.5;
const RUN_AFTER_ROOT = -0.5;

/** Places a module at `offset` from the root. The root has the smallest integer distance; placed modules have fractional ones. */
function placeAtRoot(modules: ModulesContainer, metatype: unknown, offset: number): void {
  const all = [...modules.values()];
  const rootDistance = Math.min(...all.map(({ distance }) => distance).filter(Number.isInteger));
  for (const module of all) if (module.metatype === metatype) module.distance = rootDistance + offset;
}

interface Extras {
  /** True: `QueueBus` can be injected in every module without importing this one. Default true. */
  readonly isGlobal?: boolean;
}

/** Implemented by the classes that `useClass` and `useExisting` of `forRootAsync` name. */
export interface AtomicQueuesConfigFactory {
  createAtomicQueuesConfig(): AtomicQueuesConfig | Promise<AtomicQueuesConfig>;
}

const { ConfigurableModuleClass, ASYNC_OPTIONS_TYPE } = new ConfigurableModuleBuilder<AtomicQueuesConfig>({
  optionsInjectionToken: OPTIONS,
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createAtomicQueuesConfig')
  .setExtras<Extras>({ isGlobal: true }, ({ imports = [], providers = [] }, { isGlobal = true }): DynamicModule => {
    const forCopies = providersForCopies();
    const core: DynamicModule = {
      ...{ module: AtomicQueuesCoreModule, global: isGlobal, imports, providers: [...providers, ...forCopies] },
      exports: forCopies.map(({ provide }) => provide),
    };
    return {
      module: AtomicQueuesModule,
      imports: [core, { module: AtomicQueuesExploreModule, imports: [core] }],
      exports: [core],
    };
  })
  .build();

export type AtomicQueuesAsyncOptions = typeof ASYNC_OPTIONS_TYPE;

/** Provides everything that other modules inject. Has no hooks. */
@Module({
  imports: [CqrsModule, DiscoveryModule],
  providers: [
    {
      provide: HOST,
      useFactory: (config: unknown, discovery: DiscoveryService) => new AtomicQueuesHost(config, discovery),
      inject: [OPTIONS, DiscoveryService],
    },
    { provide: QueueBus, useFactory: (host: AtomicQueuesHost) => host.bus, inject: [HOST] },
    { provide: DeadLetters, useFactory: (host: AtomicQueuesHost) => host.deadLetters, inject: [HOST] },
  ],
  exports: [HOST, QueueBus, DeadLetters, CqrsModule],
})
class AtomicQueuesCoreModule {}

/** Explores the handlers in its init hook. */
@Injectable()
class Explorer implements OnModuleInit {
  constructor(
    @Inject(HOST) private readonly host: AtomicQueuesHost,
    @Inject(ModulesContainer) modules: ModulesContainer,
  ) {
    placeAtRoot(modules, AtomicQueuesExploreModule, EXPLORE_BEFORE_ROOT);
  }

  onModuleInit(): void {
    this.host.explore();
  }
}

@Module({ providers: [Explorer] })
class AtomicQueuesExploreModule {}

/**
 * Provides `QueueBus`, `DeadLetters` and CqrsModule. Import it once, in the root module, as `AtomicQueuesModule.forRoot(config)`
 * or `.forRootAsync({ imports, inject, useFactory | useClass | useExisting })`. A wrong config fails the start with one
 * CONFIG_INVALID that lists every fault.
 */
@Module({})
export class AtomicQueuesModule extends ConfigurableModuleClass implements OnApplicationBootstrap, OnModuleDestroy {
  static readonly [IS_QUEUES_MODULE] = true;

  readonly #host: AtomicQueuesHost;

  constructor(@Optional() @Inject(HOST) host: AtomicQueuesHost | undefined, @Inject(ModulesContainer) modules: ModulesContainer) {
    super();
    const found = [...modules.values()].filter(({ metatype }) => isQueuesModule(metatype));
    if (found.length > 1) {
      throw new AtomicQueuesError(
        'CONFIG_INVALID',
        `AtomicQueuesModule is in this application ${found.length} times: import forRoot() once, in the root module; other modules inject QueueBus without importing it (with isGlobal: false they import the same forRoot() value)`,
      );
    }
    if (host === undefined) {
      throw new AtomicQueuesError(
        'CONFIG_INVALID',
        'AtomicQueuesModule is imported bare: import AtomicQueuesModule.forRoot(config)',
      );
    }
    this.#host = host;
    placeAtRoot(modules, AtomicQueuesModule, RUN_AFTER_ROOT);
  }

  static override forRoot(config: AtomicQueuesConfig & Extras = {}): DynamicModule {
    if (typeof config !== 'object' || config === null) throw notOptions('forRoot', config);
    return ConfigurableModuleClass.forRoot(config);
  }

  static override forRootAsync(options: AtomicQueuesAsyncOptions): DynamicModule {
    if (typeof options !== 'object' || options === null) throw notOptions('forRootAsync', options);
    const given = (['useFactory', 'useClass', 'useExisting'] as const).filter((way) => options[way] !== undefined);
    if (given.length !== 1) {
      throw new AtomicQueuesError(
        'CONFIG_INVALID',
        `forRootAsync got ${given.length === 0 ? 'none' : given.join(' and ')} of useFactory, useClass, useExisting; allowed: exactly one`,
      );
    }
    return ConfigurableModuleClass.forRootAsync(options);
  }

  onApplicationBootstrap(): Promise<void> {
    return this.#host.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.#host.stop();
  }
}

function isQueuesModule(metatype: unknown): boolean {
  return typeof metatype === 'function' && Object.hasOwn(metatype, IS_QUEUES_MODULE);
}

const notOptions = (method: string, got: unknown): AtomicQueuesError =>
  new AtomicQueuesError('CONFIG_INVALID', `${method} got ${got === null ? 'null' : `a ${typeof got}`}; allowed: an object`);
