import type { StoreAdapter } from '../store-adapter.js';
import { LuaLockstep, SCRIPTS } from './lockstep.js';
import { LuaStore } from './lua-store.js';

export const LUA_ADAPTER: StoreAdapter = {
  scripts: SCRIPTS,
  lockstepOf: (nowMs, scripts = SCRIPTS, differs) => new LuaLockstep(nowMs, scripts, differs),
  storeOf: (...way) => new LuaStore(...way),
};
