/** Chooses how nodes call the store: directly, or through the production adapter for Redis. */
import type { Clock } from '../src/ports/clock.js';
import type { Store } from '../src/ports/store.js';
import type { LuaTwin, Scripts } from './lua/lockstep.js';
import type { StoreKind } from './plan.js';
import type { Stream } from './sim-random.js';
import type { StoreServer } from './store-server.js';
import type { Life } from './world.js';

export interface StoreAdapter {
  /** Those that are shipped. */
  readonly scripts: Scripts;
  /** The scripts beside the core; `scripts` instead of those that are shipped. `differs` is called once. */
  twinOf(nowMs: () => number, scripts: Scripts | undefined, differs: (what: string) => void): LuaTwin;
  /** The way of one life to the server. */
  storeOf(server: StoreServer, life: Life, chance: Stream, storeCallTimeoutMs: number, clock: Clock): Store;
}

let lua: StoreAdapter | undefined;

/** Loads what that store needs. Await it before a run: the Lua VM is loaded only where it is used. */
export async function loadStore(kind: StoreKind | undefined): Promise<void> {
  if (kind === 'lua') lua ??= (await import('./lua/adapter.js')).LUA_ADAPTER;
}

export function shippedScripts(): Scripts {
  return (adapterOf('lua') as StoreAdapter).scripts;
}

/** Undefined: the nodes speak to the simulated store itself. */
export function adapterOf(kind: StoreKind | undefined): StoreAdapter | undefined {
  if (kind !== 'lua') return undefined;
  if (lua === undefined) throw new Error("the store 'lua' was not loaded before the run");
  return lua;
}
