/**
 * The Redis server of the simulated world, without its network. It runs the scripts in a Lua VM in this process, on the data
 * commands of ioredis-mock, and its time is the simulated time. One call is one step, as on a real server. A script is compiled
 * once, and the VM is made once. The `eval` of ioredis-mock makes a VM for each call, which costs thirty times as much.
 *
 * The VM speaks Lua 5.3, a real server 5.1. The scripts avoid what differs between them (integers, `unpack`), and the contract
 * tests run them on a real server.
 */
/// <reference path="./fengari.d.ts" />
import fengari, { type LuaState } from 'fengari';
import RedisMock from 'ioredis-mock';

const { lua, lauxlib, lualib, to_luastring: bytesOf } = fengari;

/** The answer of a command: null for nothing, as in ioredis. */
type Answer = null | number | string | readonly Answer[] | { readonly ok: string } | Readonly<Record<string, string>>;
type DataCommand = (...args: string[]) => Answer;

/** An error answer of the server. It has the name that the client gives it, so that the adapter treats it alike. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** Why the server refuses writes. */
export type Refusing = 'none' | 'oom' | 'readonly' | 'all';

const WRITES = new Set(['hset', 'hdel', 'hincrby', 'zadd', 'zrem']);
/** Writes that a server without memory refuses. */
const GROWS = new Set(['hset', 'hincrby', 'zadd']);
const NO_TEXT = 'ERR Lua redis lib command arguments must be strings or integers';
const SCRIPT_ERROR = 'ERR Error running script, on @user_script:';

// ---- one of each for the process: a run has one server, and runs come one after the other

const mock = new RedisMock({ host: 'simulated', lazyConnect: true });
const commands = commandsOf();

/** The VM: a Lua state, the compiled scripts by their text, and the server whose script runs. */
const L: LuaState = lauxlib.luaL_newstate();
const compiled = new Map<string, number>();
let running: SimRedis | undefined;

/** A server. Creating one deletes the data of the server before it. */
export class SimRedis {
  refusing: Refusing = 'none';
  /** Set when the script that runs, or ran last, has written. The server refuses none of its later writes. */
  hasWritten = false;

  constructor(private readonly nowMs: () => number) {
    this.flush();
  }

  /** Deletes all data. */
  flush(): void {
    (mock as unknown as { readonly context: { readonly data: { clear(): void } } }).context.data.clear();
  }

  /** Runs a command of a client. Throws a ReplyError. */
  command(name: string, ...args: string[]): Answer {
    this.hasWritten = false;
    return this.call(name, args);
  }

  /** Runs a command of a client or of a script. Throws a ReplyError. */
  call(name: string, args: readonly string[]): Answer {
    const lower = name.toLowerCase();
    if (lower === 'time') return this.time();
    this.admit(lower);
    const command = commands[lower];
    if (command === undefined) throw new ReplyError(`ERR unknown command '${name}'`);
    const answer = command(...args);
    if (lower === 'type') return { ok: answer as string };
    if (lower === 'hgetall') return Object.entries(answer as Readonly<Record<string, string>>).flat();
    return answer;
  }

  private admit(command: string): void {
    if (!WRITES.has(command) || this.hasWritten) return;
    if (this.refusing === 'readonly') throw new ReplyError("READONLY You can't write against a read only replica.");
    if (this.refusing === 'oom' && GROWS.has(command))
      throw new ReplyError("OOM command not allowed when used memory > 'maxmemory'.");
    this.hasWritten = true;
  }

  private time(): Answer {
    const ms = this.nowMs();
    return [String(Math.floor(ms / 1000)), String((ms % 1000) * 1000)];
  }

  /** Runs a script. Throws a ReplyError. */
  run(script: string, keys: readonly string[], args: readonly string[]): Answer {
    this.hasWritten = false;
    running = this;
    try {
      lua.lua_rawgeti(L, lua.LUA_REGISTRYINDEX, compile(script));
      setGlobal('KEYS', keys);
      setGlobal('ARGV', args);
      if (lua.lua_pcall(L, 0, 1, 0) !== lua.LUA_OK) throw errorOf(textAt(-1));
      const answer = answerAt(-1);
      if (answer instanceof ReplyError) throw answer;
      return answer;
    } finally {
      running = undefined;
      lua.lua_settop(L, 0);
    }
  }

  /** Returns all fields of a hash. */
  hash(key: string): Readonly<Record<string, string>> {
    return (commands.hgetall as DataCommand)(key) as Readonly<Record<string, string>>;
  }

  /** Returns all members of a sorted set, each with its score. */
  sortedSet(key: string): ReadonlyMap<string, string> {
    const flat = (commands.zrange as DataCommand)(key, '0', '-1', 'WITHSCORES') as readonly string[];
    const members = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) members.set(flat[i] as string, flat[i + 1] as string);
    return members;
  }
}

/** Returns the commands of ioredis-mock without the promises around them. Its pipelines are made from plain functions. */
function commandsOf(): Readonly<Record<string, DataCommand>> {
  const Pipeline = mock.pipeline().constructor as new (redis: object) => object;
  class Direct extends Pipeline {
    _createCommand(_name: string, command: (...args: unknown[]) => unknown): unknown {
      return command.bind(mock);
    }
  }
  return new Direct(mock) as unknown as Readonly<Record<string, DataCommand>>;
}

// ---- the VM --------------------------------------------------------------------------------------------------------------

lualib.luaL_openlibs(L);
lua.lua_createtable(L, 0, 1);
lua.lua_pushjsfunction(L, () => called());
lua.lua_setfield(L, -2, bytesOf('call'));
lua.lua_setglobal(L, bytesOf('redis'));
lua.lua_getglobal(L, bytesOf('table'));
lua.lua_getfield(L, -1, bytesOf('unpack'));
lua.lua_setglobal(L, bytesOf('unpack'));
lua.lua_settop(L, 0);

function compile(script: string): number {
  const known = compiled.get(script);
  if (known !== undefined) return known;
  if (lauxlib.luaL_loadstring(L, bytesOf(script)) !== lua.LUA_OK)
    throw new ReplyError(`ERR Error compiling script: ${textAt(-1)}`);
  const made = lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX);
  compiled.set(script, made);
  return made;
}

/** Implements redis.call. Takes its arguments from the stack, and pushes its answer. */
function called(): number {
  const args: string[] = [];
  for (let i = 1; i <= lua.lua_gettop(L); i++) {
    const type = lua.lua_type(L, i);
    if (type !== lua.LUA_TSTRING && type !== lua.LUA_TNUMBER) return lauxlib.luaL_error(L, bytesOf(NO_TEXT));
    args.push(textAt(i));
  }
  let answer: Answer;
  try {
    answer = (running as SimRedis).call(args[0] as string, args.slice(1));
  } catch (error) {
    return lauxlib.luaL_error(L, bytesOf((error as Error).message));
  }
  push(answer);
  return 1;
}

function push(answer: Answer): void {
  if (answer === null || answer === undefined) lua.lua_pushboolean(L, false);
  else if (typeof answer === 'string') lua.lua_pushstring(L, bytesOf(answer));
  else if (typeof answer === 'number') lua.lua_pushinteger(L, answer);
  else if (Array.isArray(answer)) {
    lua.lua_createtable(L, answer.length, 0);
    answer.forEach((item: Answer, i) => {
      push(item);
      lua.lua_rawseti(L, -2, i + 1);
    });
  } else {
    lua.lua_createtable(L, 0, 1);
    push((answer as { readonly ok: string }).ok);
    lua.lua_setfield(L, -2, bytesOf('ok'));
  }
}

function setGlobal(name: string, list: readonly string[]): void {
  push(list);
  lua.lua_setglobal(L, bytesOf(name));
}

const textAt = (index: number): string => fengari.to_jsstring(lua.lua_tostring(L, index));

/** Returns the result of a script, as the client would read it. */
function answerAt(index: number): Answer | ReplyError {
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TSTRING:
      return textAt(index);
    case lua.LUA_TNUMBER:
      return Math.trunc(lua.lua_tonumber(L, index));
    case lua.LUA_TTABLE:
      return tableAt(index);
    default:
      return lua.lua_toboolean(L, index) ? 1 : null;
  }
}

function tableAt(index: number): Answer | ReplyError {
  const field = (name: string): string | undefined => {
    lua.lua_getfield(L, index, bytesOf(name));
    const text = lua.lua_type(L, -1) === lua.LUA_TSTRING ? textAt(-1) : undefined;
    lua.lua_settop(L, lua.lua_gettop(L) - 1);
    return text;
  };
  const error = field('err');
  if (error !== undefined) return new ReplyError(error);
  const ok = field('ok');
  if (ok !== undefined) return ok;
  const items: Answer[] = [];
  for (let i = 1; i <= lua.lua_rawlen(L, index); i++) {
    lua.lua_rawgeti(L, index, i);
    items.push(answerAt(-1) as Answer);
    lua.lua_settop(L, lua.lua_gettop(L) - 1);
  }
  return items;
}

/** Turns an error of a script into an answer. The error of a command stays as it is. An error of Lua gets its line number. */
function errorOf(message: string): ReplyError {
  const raised = /(?:^|: )((?:OOM|READONLY|WRONGTYPE) .*)$/s.exec(message)?.[1];
  return new ReplyError(raised ?? `${SCRIPT_ERROR} user_script:${/:(\d+): /.exec(message)?.[1] ?? '0'}: ${message}`);
}
