/** Chooses how nodes call the store: directly, or through the production adapter for Redis. */
import type { Clock } from '../src/ports/clock.js';
import type { Store } from '../src/ports/store.js';
import type { LuaLockstep, Scripts } from './lua/lockstep.js';
import type { StoreKind } from './plan.js';
import type { Stream } from './sim-random.js';
import type { StoreServer } from './store-server.js';
import type { Life } from './world.js';

export interface StoreAdapter {
  /** The shipped scripts. */
  readonly scripts: Scripts;
  /**
   * Makes the scripts that run in lockstep with the core. `scripts` replaces the shipped ones. `differs` is called at most once.
   */
  lockstepOf(nowMs: () => number, scripts: Scripts | undefined, differs: (what: string) => void): LuaLockstep;
  /** Makes the connection of one life to the server. */
  storeOf(server: StoreServer, life: Life, chance: Stream, storeCallTimeoutMs: number, clock: Clock): Store;
}

let lua: StoreAdapter | undefined;

/** Loads what the store needs. Await it before a run. The Lua VM is loaded only for the store 'lua'. */
export async function loadStore(kind: StoreKind | undefined): Promise<void> {
  if (kind === 'lua') lua ??= (await import('./lua/adapter.js')).LUA_ADAPTER;
}

export function shippedScripts(): Scripts {
  return (adapterOf('lua') as StoreAdapter).scripts;
}

/** Returns the adapter; undefined if the nodes call the simulated store directly. */
export function adapterOf(kind: StoreKind | undefined): StoreAdapter | undefined {
  if (kind !== 'lua') return undefined;
  if (lua === undefined) throw new Error("the store 'lua' was not loaded before the run");
  return lua;
}
