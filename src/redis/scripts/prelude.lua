-- Shared by both scripts: the keys, the time, the partition's counters, and cached access to what an operation touches.
-- Reads are cached and writes are collected: nothing is written before every operation has been decided (see flush.lua).
-- Values that come from the store or from ARGV stay strings, also numbers: they are compared and written back as they are.
--
-- KEYS  1 meta  2 ent  3 msg; the other keys of the partition differ from the first in their last word only.
-- ARGV  1 time in ms, '' for the server's own; then see batch.lua and control.lua.
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
-- member    incarnation -> serverId group address token joinedAt workersMax beat leaseUntil dead types, joined by FS
-- contract  incarnation FS type -> maxAttempts onInterrupt name ... name, each followed by FS
-- owns      incarnation -> entities it owns
-- leader    group -> incarnation epoch until, joined by FS
-- dlq       letter -> entity reason error incarnation diedAt late lateDetail replayedAs sequence message, joined by FS
-- dlqindex  zset of the letters by number
-- dlqof     entity RS sequence RS attempt -> letter
local call = redis.call
local byte, find, format, gmatch, match, sub = string.byte, string.find, string.format, string.gmatch, string.match, string.sub
local concat, unpack, floor = table.concat, unpack, math.floor
local FS, RS = '\31', '\30'
local META, ENT, MSG = KEYS[1], KEYS[2], KEYS[3]
local BASE = sub(META, 1, -5)
local KEPT, EXPIRY, READY, OWNS = BASE .. 'kept', BASE .. 'expiry', BASE .. 'ready', BASE .. 'owns'
local MEMBER, CONTRACT, LEADER = BASE .. 'member', BASE .. 'contract', BASE .. 'leader'
local DLQ, DLQINDEX, DLQOF = BASE .. 'dlq', BASE .. 'dlqindex', BASE .. 'dlqof'

local function int(n)
  return format('%.0f', n)
end

local nowS = ARGV[1]
if nowS == '' then
  local t = call('TIME')
  nowS = int(t[1] * 1000 + floor(t[2] / 1000))
end
local now = nowS + 0

-- The incarnation whose batch this is; '0' outside of sessions.
local ME = '0'
local seq, fence, letter, depth, active = 0, 0, 0, 0, 0
local workersMax, depthMaxTotal, entryTtl, resultTtl, holdMs = 0, 0, 0, 0, 0
local COUNTERS = { 'generation', 'seq', 'fence', 'letter', 'depth', 'active', 'workersMax', 'depthMax', 'entryTtl', 'resultTtl', 'hold', '' }
-- What HMGET says of a field that is not there (false; under ioredis-mock something else).
local NONE = false

-- Reads the counters, and of one more field; answers the generation and that field, nil where there is none.
local function read_meta(field)
  COUNTERS[13] = field
  local m = call('HMGET', META, unpack(COUNTERS))
  NONE = m[12]
  local more = m[13]
  if more == NONE then more = nil end
  if m[1] == NONE then return nil, more end
  seq, fence, letter, depth, active = m[2] + 0, m[3] + 0, m[4] + 0, m[5] + 0, m[6] + 0
  workersMax, depthMaxTotal, entryTtl, resultTtl, holdMs = m[7] + 0, m[8] + 0, m[9] + 0, m[10] + 0, m[11] + 0
  return m[1], more
end

local function refuse(code, at)
  return '!' .. code .. FS .. (at or '0')
end

local function split(text)
  local list, n = {}, 0
  for field in gmatch(text .. FS, '([^\31]*)\31') do
    n = n + 1
    list[n] = field
  end
  return list
end

local function hget(key, field)
  local v = call('HGET', key, field)
  if v == NONE or not v then return nil end
  return v
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

-- ---- what is collected for the flush
local entSet, nentSet = {}, 0
local dirty, ndirty = {}, 0
local msgSet, nmsgSet, msgDel, nmsgDel = {}, 0, {}, 0
local keptSet, expirySet = {}, {}
local dlqSet, dlqIndexSet, dlqOfSet = {}, {}, {}
local memberDel, contractDel, ownsDelta = {}, {}, {}

local function push(list, a, b)
  local n = #list
  list[n + 1] = a
  list[n + 2] = b
end

-- ---- entities: as the row that is stored, until an operation has to take it apart
local rowOf, entities = {}, {}

-- ready: false; true as it is stored; or the time from which it is ready, if that is new.
local function unpacked(key, owner, fence, running, attempt, keep, first, holes, tail, hold)
  local ready = running == '0' and first ~= tail
  return {
    key = key, owner = owner, fence = fence, running = running, attempt = attempt, keep = keep, first = first, holes = holes,
    tail = tail, hold = hold, ready = ready, stored = ready, dirty = false, headFor = false, headSeq = false, headRecord = false,
  }
end

local function parse_row(key, row)
  local owner, fence, running, more, tail = match(row, '^(%d+),(%d+),(%d+)([r+]?)(%d*)$')
  if owner then
    if more == '' then return unpacked(key, owner, fence, '0', '0', '0', running, '0', running, '0') end
    return unpacked(key, owner, fence, running, '1', '0', running, '0', more == 'r' and running or tail, '0')
  end
  return unpacked(key, match(row, '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$'))
end

local function row_of(e)
  if e.hold == '0' then
    if e.running == '0' then
      if e.first == e.tail then return e.owner .. ',' .. e.fence .. ',' .. e.tail end
    elseif e.first == e.running and e.attempt == '1' and e.keep == '0' and e.holes == '0' then
      return e.owner .. ',' .. e.fence .. ',' .. e.running .. (e.tail == e.running and 'r' or '+' .. e.tail)
    end
  end
  return e.owner .. ',' .. e.fence .. ',' .. e.running .. ',' .. e.attempt .. ',' .. e.keep .. ','
    .. e.first .. ',' .. e.holes .. ',' .. e.tail .. ',' .. e.hold
end

-- The record, which may be gone.
local function entity_at(key)
  local e = entities[key]
  if e then return e end
  local row = rowOf[key]
  if row == nil then row = call('HGET', ENT, key) end
  if row and row ~= NONE then
    e = parse_row(key, row)
    -- A row that was changed whole is in entSet already; from here on this record is what counts.
  else
    e = unpacked(key, '0', '0', '0', '0', '0', '0', '0', '0', '0')
    e.gone = true
  end
  rowOf[key] = nil
  entities[key] = e
  return e
end

local function entity_of(key)
  local e = entity_at(key)
  if e.gone then return nil end
  return e
end

local function entity_or_new(key)
  local e = entity_at(key)
  if e.gone then
    local tail = int(seq)
    e.gone, e.owner, e.fence, e.running, e.attempt, e.keep, e.hold = nil, '0', '0', '0', '0', '0', '0'
    e.first, e.holes, e.tail = tail, '0', tail
  end
  return e
end

local function pending_count(e)
  if e.first == e.tail then return 0 end
  return e.tail - e.first - e.holes
end

local function live_count(e)
  return pending_count(e) + (e.running == '0' and 0 or 1)
end

local function is_held(e)
  return e.hold ~= '0' and e.hold + 0 > now
end

-- Nothing pending is written first = tail, whatever was withdrawn.
local function normalise(e)
  if e.holes ~= '0' and e.tail - e.first - e.holes == 0 then e.first, e.holes = e.tail, '0' end
end

-- Keeps the ready set and the life of the record true; notBefore is the head's, where it is just put back there.
local function settle(e, notBefore)
  if not e.dirty then
    e.dirty = true
    ndirty = ndirty + 1
    dirty[ndirty] = e
  end
  if e.running ~= '0' then
    e.ready = false
  elseif e.first ~= e.tail then
    if not e.ready then
      local at = now
      if e.hold ~= '0' and e.hold + 0 > at then at = e.hold + 0 end
      if notBefore and notBefore > at then at = notBefore end
      e.ready = at
    end
  else
    e.ready = false
    if e.owner == '0' then
      if is_held(e) then
        push(expirySet, e.hold, e.key)
      else
        e.gone = true
        if e.tail + 0 > seq then seq = e.tail + 0 end
      end
    end
  end
end

-- ---- messages
local messages = {}

-- What this script has written of a message (false: deleted it), or else what is stored. Looked for in the lists, so that
-- the steps that never ask need no index of what they write.
local function find_message(field)
  for i = 1, nmsgDel do
    if msgDel[i] == field then return false end
  end
  for i = nmsgSet - 1, 1, -2 do
    if msgSet[i] == field then return msgSet[i + 1] end
  end
  return hget(MSG, field) or false
end

-- The record, or nil.
local function message_of(key, s)
  local field = key .. RS .. s
  local record = messages[field]
  if record == nil then
    record = find_message(field)
    messages[field] = record
  end
  return record or nil
end

local function set_message(key, s, record)
  local field = key .. RS .. s
  messages[field] = record
  msgSet[nmsgSet + 1] = field
  msgSet[nmsgSet + 2] = record
  nmsgSet = nmsgSet + 2
end

local function delete_message(key, s)
  nmsgDel = nmsgDel + 1
  msgDel[nmsgDel] = key .. RS .. s
end

-- The same message for its next attempt.
local function again(record, attempt, notBefore, why)
  local name, rest = match(record, '^([^\31]*)\31%d+\31%d+\31(.*\31)[^\31]*$')
  return name .. FS .. attempt .. FS .. notBefore .. FS .. rest .. why
end

-- The head: its sequence and record, or nil. head* hold what was read for one value of first.
local function peek(e)
  local first = e.first
  if first == e.tail then return nil end
  if e.headFor == first then return e.headSeq, e.headRecord end
  while first ~= e.tail do
    local s = int(first + 1)
    local record = message_of(e.key, s)
    if record then
      e.first, e.headFor, e.headSeq, e.headRecord = first, first, s, record
      return s, record
    end
    first = s
    e.holes = int(e.holes - 1)
  end
  return nil
end

-- ---- members and contracts
local members, contracts = {}, {}

-- The fields of a member's record, or nil.
local function member_of(incarnation)
  local m = members[incarnation]
  if m == nil then
    local text = hget(MEMBER, incarnation)
    m = text and split(text) or false
    members[incarnation] = m
  end
  return m or nil
end

local function type_of(key)
  return sub(key, 1, find(key, ':', 1, true) - 1)
end

local function contract_of(incarnation, type)
  local field = incarnation .. FS .. type
  local c = contracts[field]
  if c == nil then
    local text = hget(CONTRACT, field)
    if text then
      local max, onInterrupt, names = match(text, '^(%d+)\31([^\31]*)(\31.*)$')
      c = { max = max + 0, retries = onInterrupt == 'retry', names = names, known = {} }
    else
      c = false
    end
    contracts[field] = c
  end
  return c or nil
end

local myTypes = {}

-- Whether this session's incarnation handles the message `name` of this entity.
local function declares(key, name)
  local type = type_of(key)
  local c = myTypes[type]
  if c == nil then
    c = contract_of(ME, type) or false
    myTypes[type] = c
  end
  if not c then return false end
  local known = c.known[name]
  if known == nil then
    known = find(c.names, FS .. name .. FS, 1, true) ~= nil
    c.known[name] = known
  end
  return known
end

local lastType, lastName

-- The same for a message record, which starts with the name. Most often it is the type and name of the message before.
local function declares_record(key, record)
  if lastType and find(key, lastType, 1, true) == 1 and find(record, lastName, 1, true) == 1 then return true end
  local name = sub(record, 1, find(record, FS, 1, true) - 1)
  if not declares(key, name) then return false end
  lastType, lastName = type_of(key) .. ':', name .. FS
  return true
end

local function owns_count(incarnation)
  return (hget(OWNS, incarnation) or 0) + (ownsDelta[incarnation] or 0)
end

-- ---- what is kept of a message by its id
local kept = {}

local function kept_of(field)
  local k = kept[field]
  if k == nil then
    k = hget(KEPT, field) or false
    kept[field] = k
  end
  return k or nil
end

local function set_kept(field, s, digest, state, expiresAt, result, why)
  local k = s .. FS .. digest .. FS .. state .. FS .. expiresAt .. FS .. result .. FS .. why
  kept[field] = k
  push(keptSet, field, k)
end
