import type { StoreAdapter } from '../store-adapter.js';
import { LuaTwin, SCRIPTS } from './lockstep.js';
import { LuaStore } from './lua-store.js';

export const LUA_ADAPTER: StoreAdapter = {
  scripts: SCRIPTS,
  twinOf: (nowMs, scripts = SCRIPTS, differs) => new LuaTwin(nowMs, scripts, differs),
  storeOf: (...way) => new LuaStore(...way),
};
