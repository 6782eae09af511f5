-- Shared by both scripts: the keys, the time, the partition's counters, and what is collected to be written.
-- Reads are cached and writes are collected: nothing is written before every operation has been decided (see flush.lua).
-- Values that come from the store or from ARGV stay strings, also numbers: they are compared and written back as they are.
--
-- KEYS  1 meta  2 ent  3 msg; the other keys of the partition differ from the first in their last word only.
-- ARGV  1 time in ms, '' for the server's own  2 incarnation whose batch it is, 0: none; then see batch.lua and control.lua.
--
-- meta      generation schema seq fence incarnation letter epoch depth active workersMax and the settings;
--           s<incarnation>: number of a session's last batch; s<incarnation>:0 and :1: the replies of its last two
-- ent       entity -> owner,fence,running,attempt,keep,first,holes,tail,hold
--           pending messages: those of first+1 .. tail that exist; holes: how many of these do not; first = tail: none
--           keep: the running message has to be kept after its end; running: its sequence, 0 for none
--           The commonest records are shorter, and most steps go from one to another without taking them apart:
--           owner,fence,tail          idle: nothing pending, nothing running, never held
--           owner,fence,runningr      running in its first attempt, nothing to keep, nothing pending, never held
--           owner,fence,running+tail  the same, with all of running+1 .. tail pending
-- msg       entity RS sequence -> name attempt notBefore given waiter id digest replayOf headers chain payload
--           enqueuedAt error, joined by FS
-- kept      entity RS id -> sequence digest state expiresAt result error, joined by FS
-- expiry    zset by time: fields of kept, and entities that only their hold keeps
-- ready     zset by time: entities with something pending and nothing running
-- member    incarnation -> serverId group address token joinedAt workersMax beat leaseUntil dead types eligible unreachable, joined by FS
-- contract  incarnation FS type -> maxAttempts onInterrupt name ... name, each followed by FS
-- owns      incarnation -> entities it owns
-- leader    group -> incarnation epoch until, joined by FS
-- dlq       letter -> entity reason error incarnation diedAt late lateDetail replayedAs sequence message, joined by FS
-- dlqindex  zset of the letters by number
-- dlqof     entity RS sequence RS attempt -> letter
--
-- Each function of a script is made anew for each call, and costs the more the more variables are alive that it might
-- refer to. So a batch makes only what its commonest operations need (plain.lua), and all else once something asks for it.
local call = redis.call
local find, format, match, sub = string.find, string.format, string.match, string.sub
local FS, RS = '\31', '\30'
local META, ENT, MSG = KEYS[1], KEYS[2], KEYS[3]
local BASE = sub(META, 1, -5)
local CONTRACT = BASE .. 'contract'

local function int(n)
  return format('%.0f', n)
end

local nowS = ARGV[1]
if nowS == '' then
  local t = call('TIME')
  nowS = int(t[1] * 1000 + math.floor(t[2] / 1000))
end
local now = nowS + 0
local STAMP = FS .. nowS .. FS
local ME = ARGV[2]
local session = 's' .. ME

local m = call('HMGET', META, 'generation', session, 'depth', 'active', 'workersMax', 'depthMax', '')
-- What HMGET says of a field that is not there (false; under ioredis-mock something else).
local NONE = m[7]
local generation, last, depth, active, workersMax, depthMaxTotal = nil, nil, 0, 0, 0, 0
if m[1] ~= NONE then
  generation, depth, active, workersMax, depthMaxTotal = m[1], m[3] + 0, m[4] + 0, m[5] + 0, m[6] + 0
  if m[2] ~= NONE then last = m[2] end
end

-- HMGET of list[from..to], in chunks that fit Lua's stack.
local function hmget(key, list, from, to)
  if to - from < 4000 then return call('HMGET', key, unpack(list, from, to)) end
  local all, n = {}, 0
  for i = from, to, 4000 do
    local part = call('HMGET', key, unpack(list, i, i + 3999 < to and i + 3999 or to))
    for j = 1, #part do
      n = n + 1
      all[n] = part[j]
    end
  end
  return all
end

local function write_all(command, key, list, n)
  for i = 1, n, 4000 do
    call(command, key, unpack(list, i, i + 3999 < n and i + 3999 or n))
  end
end

-- An error reply, if the key is of another type than it must have.
local function check_type(key, type)
  local t = call('TYPE', key)
  if t.ok then t = t.ok end
  if t == 'none' or t == type then return nil end
  return { err = 'WRONGTYPE ' .. key .. ' holds a ' .. t .. ', not a ' .. type }
end

-- Entities as the rows that are stored, until an operation has to take one apart; and what is collected for the flush.
local rowOf = {}
local entSet, nentSet, msgSet, nmsgSet, msgDel, nmsgDel = {}, 0, {}, 0, {}, 0
