-- Cached access to the records that the operations use.
-- Reads are cached and writes are collected: nothing is written before every operation has been decided (see flush.lua).
local byte, gmatch, concat = string.byte, string.gmatch, table.concat
local KEPT, EXPIRY, READY = BASE .. 'kept', BASE .. 'expiry', BASE .. 'ready'
local MEMBER, LEADER, SCHEMA = BASE .. 'member', BASE .. 'leader', BASE .. 'schema'
local DLQ, DLQINDEX, DLQOF = BASE .. 'dlq', BASE .. 'dlqindex', BASE .. 'dlqof'

local letter, entryTtl, resultTtl, holdMs = 0, 0, 0, 0
if generation and generation ~= DAMAGED then
  letter, entryTtl, resultTtl, holdMs = m[9] + 0, m[10] + 0, m[11] + 0, m[12] + 0
end

local function int(n)
  return format('%.0f', n)
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

-- Returns an error reply if the key exists with another type.
local function check_type(key, type)
  local t = call('TYPE', key)
  if t.ok then t = t.ok end
  if t == 'none' or t == type then return nil end
  return { err = 'WRONGTYPE ' .. key .. ' holds a ' .. t .. ', not a ' .. type }
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

-- ---- writes collected for the flush
local dirty, ndirty = {}, 0
local entSet, msgSet, msgDel = {}, {}, {}
local keptSet, expirySet, expiryDel = {}, {}, {}
local dlqSet, dlqIndexSet, dlqOfSet = {}, {}, {}
local memberDel, contractDel, ownsDelta = {}, {}, {}

local function push(list, a, b)
  local n = #list
  list[n + 1] = a
  list[n + 2] = b
end

-- ---- entities
-- rowOf: rows that were read ahead (false: missing); entities: parsed rows.
local rowOf, entities = {}, {}

-- ready: false; true as stored; or the time from which the entity is ready, if that is new.
-- expires: the time stored in expiry for an entity whose record exists only for its hold; or false.
local function unpacked(key, owner, fence, running, attempt, keep, first, holes, tail, hold)
  local ready = running == '0' and first ~= tail
  local expires = hold ~= '0' and owner == '0' and running == '0' and first == tail and hold
  return {
    key = key, owner = owner, fence = fence, running = running, attempt = attempt, keep = keep, first = first, holes = holes,
    tail = tail, hold = hold, ready = ready, stored = ready, expires = expires, dirty = false, headFor = false, headSeq = false, headRecord = false,
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

-- Returns the entity; its `gone` is true if there is no record.
local function entity_at(key)
  local e = entities[key]
  if e then return e end
  local row = rowOf[key]
  if row == nil then row = call('HGET', ENT, key) end
  if row and row ~= NONE then
    e = parse_row(key, row)
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

-- With nothing pending, an entity is stored with first = tail and no holes, whatever was withdrawn.
local function normalise(e)
  if e.holes ~= '0' and e.tail - e.first - e.holes == 0 then e.first, e.holes = e.tail, '0' end
end

-- Updates the ready state and marks the record as dirty, or as gone. notBefore: that of a head that was just put back.
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
      e.ready = at > now and at or now - AT_ONCE
    end
  else
    e.ready = false
    if e.owner == '0' and not is_held(e) then
      e.gone = true
      if e.tail + 0 > seq then seq = e.tail + 0 end
    end
  end
end

-- ---- messages
local messages = {}

-- Returns the record, or nil.
local function message_of(key, s)
  local field = key .. RS .. s
  local record = messages[field]
  if record == nil then
    record = hget(MSG, field) or false
    messages[field] = record
  end
  return record or nil
end

local function set_message(key, s, record)
  local field = key .. RS .. s
  messages[field] = record
  push(msgSet, field, record)
end

local function delete_message(key, s)
  local field = key .. RS .. s
  messages[field] = false
  msgDel[#msgDel + 1] = field
end

-- Returns the message's record for its next attempt.
local function again(record, attempt, notBefore, why)
  local name, rest = match(record, '^([^\31]*)\31%d+\31%d+\31(.*\31)[^\31]*$')
  return name .. FS .. attempt .. FS .. notBefore .. FS .. rest .. why
end

-- Number of holes that one call passes; more would block the server. They are read in pages; the first page has one message.
local HOLES_MAX, HOLES_PAGE = 8000, 500

-- Returns the head's sequence and record, or nil without a head. headFor, headSeq and headRecord cache them for one `first`.
-- Returns 'far' if the head lies behind more holes than one call passes. The entity skips those; the next call goes on there.
local function peek(e)
  local first = e.first
  if first == e.tail then return nil end
  if e.headFor == first then return e.headSeq, e.headRecord end
  local at, tail, page = first + 0, e.tail + 0, 1
  local stop = at + HOLES_MAX < tail and at + HOLES_MAX or tail
  while at < stop do
    local to = at + page < stop and at + page or stop
    local fields = {}
    for s = at + 1, to do fields[s - at] = e.key .. RS .. int(s) end
    local records = hmget(MSG, fields, 1, to - at)
    for i = 1, to - at do
      local record = messages[fields[i]]
      if record == nil then record = records[i] ~= NONE and records[i] or false end
      if record then
        messages[fields[i]] = record
        e.holes = int(e.holes - (at + i - 1 - first))
        e.first = int(at + i - 1)
        e.headFor, e.headSeq, e.headRecord = e.first, int(at + i), record
        if e.first ~= first then settle(e) end
        return e.headSeq, record
      end
    end
    at, page = to, HOLES_PAGE
  end
  if at == tail then return nil end
  e.holes, e.first = int(e.holes - (at - first)), int(at)
  settle(e)
  return 'far'
end

-- ---- members and contracts
local members, contracts = {}, {}

-- Returns the fields of a member's record, or nil.
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

-- Returns the attempt limit, whether an interrupted message is retried, and the names, each between separators; or nil.
local function contract_of(incarnation, type)
  local field = incarnation .. FS .. type
  local c = contracts[field]
  if c == nil then
    local text = hget(CONTRACT, field)
    if text then
      local max, onInterrupt, names = match(text, '^(%d+)\31([^\31]*)(\31.*)$')
      c = { max = max + 0, retries = onInterrupt == 'retry', names = names }
    else
      c = false
    end
    contracts[field] = c
  end
  return c or nil
end

-- Returns whether this incarnation handles the message `name` of this entity.
local function declares(key, name)
  local c = contract_of(ME, type_of(key))
  return c ~= nil and find(c.names, FS .. name .. FS, 1, true) ~= nil
end

local function owns_count(incarnation)
  return (hget(OWNS, incarnation) or 0) + (ownsDelta[incarnation] or 0)
end

-- ---- kept records of messages, by id
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
