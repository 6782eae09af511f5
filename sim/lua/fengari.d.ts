/** The used part of fengari, a Lua VM in JavaScript without types. A Lua string is an array of bytes. */
declare module 'fengari' {
  type LuaState = object & { readonly __lua: unique symbol };
  interface Fengari {
    readonly lua: {
      readonly LUA_REGISTRYINDEX: number;
      readonly LUA_OK: number;
      readonly LUA_TNUMBER: number;
      readonly LUA_TSTRING: number;
      readonly LUA_TTABLE: number;
      lua_createtable(L: LuaState, arrayLength: number, fields: number): void;
      lua_getfield(L: LuaState, index: number, name: Uint8Array): number;
      lua_gettop(L: LuaState): number;
      lua_getglobal(L: LuaState, name: Uint8Array): number;
      lua_pcall(L: LuaState, args: number, results: number, handler: number): number;
      lua_pushboolean(L: LuaState, value: boolean): void;
      lua_pushinteger(L: LuaState, value: number): void;
      lua_pushjsfunction(L: LuaState, run: (L: LuaState) => number): void;
      lua_pushstring(L: LuaState, text: Uint8Array): void;
      lua_rawgeti(L: LuaState, index: number, at: number): number;
      lua_rawlen(L: LuaState, index: number): number;
      lua_rawseti(L: LuaState, index: number, at: number): void;
      lua_setfield(L: LuaState, index: number, name: Uint8Array): void;
      lua_setglobal(L: LuaState, name: Uint8Array): void;
      lua_settop(L: LuaState, top: number): void;
      lua_toboolean(L: LuaState, index: number): boolean;
      lua_tostring(L: LuaState, index: number): Uint8Array;
      lua_tonumber(L: LuaState, index: number): number;
      lua_type(L: LuaState, index: number): number;
    };
    readonly lauxlib: {
      luaL_newstate(): LuaState;
      luaL_loadstring(L: LuaState, text: Uint8Array): number;
      luaL_ref(L: LuaState, index: number): number;
      luaL_error(L: LuaState, text: Uint8Array): never;
    };
    readonly lualib: { luaL_openlibs(L: LuaState): void };
    to_luastring(text: string): Uint8Array;
    to_jsstring(bytes: Uint8Array): string;
  }
  const fengari: Fengari;

  export type { LuaState };
  export default fengari;
}
