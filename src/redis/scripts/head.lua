-- Shared by both scripts: the keys, the time, the partition's counters, and the state that collects writes.
-- Reads are cached and writes are collected: nothing is written before every operation has been decided (see flush.lua).
-- Values from the store and from ARGV stay strings, also numbers: they are compared and written back unchanged.
--
-- KEYS  1 meta  2 ent  3 msg; the other keys of the partition differ from the first only in their last word.
-- ARGV  1 time in ms, '' for the server's own
--       2 session of the batch: incarnation and token of its join, joined by a dot; 0: none
--       then see session.lua and control.lua.
--
-- meta      generation schema seq fence incarnation `letter` epoch depth active workersMax and the settings;
--           s<session>: number of a session's last batch; s<session>:0 and :1: the replies of its last two;
--           t<incarnation>: token of its join, for the newest 1024 joins (see identity.lua)
-- ent       entity -> owner,fence,running,attempt,keep,first,holes,tail,hold
--           pending messages: those of first+1 .. tail that exist; holes: how many of these do not exist; first = tail: none
--           running: sequence of the running message, 0 for none; keep: 1 if that has to be kept after its end
--           The most common records are shorter, and most steps lead from one to another without parsing them:
--           owner,fence,tail          idle: nothing pending, nothing running, never held
--           owner,fence,runningr      running in its first attempt, nothing to keep, nothing pending, never held
--           owner,fence,running+tail  the same, with all of running+1 .. tail pending
-- msg       entity RS sequence -> name attempt notBefore given waiter id digest replayOf headers chain payload
--           enqueuedAt error, joined by FS
-- kept      entity RS id -> sequence digest state expiresAt result error, joined by FS
-- expiry    zset by time: fields of kept, and entities whose record exists only for its hold
-- ready     zset by time: entities with something pending and nothing running. Those that can begin at once have the time less
--           AT_ONCE: they are due by any clock, and in order of arrival.
-- member    incarnation -> serverId group address token joinedAt workersMax heartbeat leaseUntil dead types eligible
--           unreachable, joined by FS
-- contract  incarnation FS type -> maxAttempts onInterrupt name ... name, each followed by FS, and depthMax,version
-- schema    incarnation FS type -> what the member published about its messages
-- owns      incarnation -> number of entities it owns
-- leader    group -> incarnation epoch until, joined by FS
-- dlq       dead letter -> entity reason error incarnation diedAt late lateDetail replayedAs sequence message, joined by FS
-- dlqindex  zset of the dead letters by number
-- dlqof     entity RS sequence RS attempt -> dead letter
--
-- Lua creates each function of a script again on each call, at a cost that grows with the number of live local variables that it
-- may refer to. Functions alone would triple the cost of a small call. So a batch of only the most common operations creates
-- none (plain.lua); a batch with any other operation takes the general way as a whole.
local call = redis.call
local find, format, match, sub = string.find, string.format, string.match, string.sub
local FS, RS = '\31', '\30'
local META, ENT, MSG = KEYS[1], KEYS[2], KEYS[3]
local BASE = sub(META, 1, -5)
local CONTRACT, OWNS = BASE .. 'contract', BASE .. 'owns'

-- Limit in bytes for messages in one reply: the reply is stored beside the log, and has to arrive within the deadline of a call.
local TOLD_MAX, told = 1048576, 0

local nowS = ARGV[1]
if nowS == '' then
  local t = call('TIME')
  nowS = format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
local now = nowS + 0
local AT_ONCE = 1e13
local STAMP = FS .. nowS .. FS
local ME = match(ARGV[2], '^%d+')
local session = 's' .. ARGV[2]

local m = call('HMGET', META, 'generation', session, 'depth', 'active', 'workersMax', 'depthMax', 'seq', 'fence', 'letter', 'entryTtl', 'resultTtl',
  'hold', '')
-- What HMGET returns for a missing field: false, under ioredis-mock another value.
local NONE = m[13]
-- Generation of a store that lost fields of meta. No session has it, so every batch and heartbeat is refused as LOST.
local DAMAGED = 'damaged'
local generation, last, depth, active, workersMax, depthMaxTotal, seq, fence = nil, nil, 0, 0, 0, 0, 0, 0
if m[1] ~= NONE then
  generation = m[1]
  for i = 3, 12 do
    if m[i] == NONE then generation = DAMAGED end
  end
  if m[2] ~= NONE then last = m[2] end
elseif m[3] ~= NONE then
  generation = DAMAGED
end
if generation and generation ~= DAMAGED then
  depth, active, workersMax, depthMaxTotal, seq, fence = m[3] + 0, m[4] + 0, m[5] + 0, m[6] + 0, m[7] + 0, m[8] + 0
end
