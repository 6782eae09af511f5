-- audit: finds keys that were deleted or evicted, by comparing the keys with each other.
-- args     incarnation, number of entities that it certainly owns, cursor. Pages follow HSCAN
-- answer   cursor, the names of the missing keys joined by commas; then per entity that is missing in the ready set, or whose
--          owner is no member: entity owner

-- Returns whether the first few kept records of ended messages have an expiry time.
local function all_expire()
  local _, rows = scan(KEPT, '0', '10')
  for i = 1, #rows, 2 do
    if not find(rows[i + 1], '^%d+\31[^\31]*\31live\31') and not call('ZSCORE', EXPIRY, rows[i]) then return false end
  end
  return true
end

-- Returns whether the records of the messages that expire first are kept.
local function all_kept()
  local first = call('ZRANGE', EXPIRY, '0', '9')
  for i = 1, #first do
    if find(first[i], RS, 1, true) and call('HEXISTS', KEPT, first[i]) == 0 then return false end
  end
  return true
end

-- Number of ready and of running entities whose rows, messages and kept ids are compared.
local COMPARED_MAX = 10

-- Returns whether the log keeps the id of the message, if its caller gave one.
local function keeps_id(key, record)
  local given, id = match(record, '^[^\31]*\31%d+\31%d+\31(%d)\31%d+\31([^\31]*)')
  return given ~= '1' or call('HEXISTS', KEPT, key .. RS .. id) == 1
end

-- Returns whether the first ready entities have rows that say so, and whether the ids of their heads are kept. A claim creates a
-- missing row again, so the number of rows proves nothing.
local function first_ready()
  local rows, ids = true, true
  for _, key in ipairs(call('ZRANGE', READY, '0', int(COMPARED_MAX - 1))) do
    local e = entity_of(key)
    if not e or not e.ready then
      rows = false
    else
      -- A head behind a hole is not searched for: there may be thousands of holes.
      local record = ids and message_of(key, int(e.first + 1))
      ids = ids and (not record or keeps_id(key, record))
    end
  end
  return rows, ids
end

local function missing_keys(incarnation, owned, running)
  local missing = {}
  local function need(name, holds)
    if not holds then missing[#missing + 1] = name end
  end
  local fields = { 'schema', 'incarnation', 'leaseTtl', 'leaderTtl', 'leaderDebounce' }
  if call('HLEN', LEADER) > 0 then fields[6] = 'epoch' end
  for i, value in ipairs(hmget(META, fields, 1, #fields)) do need('meta ' .. fields[i], value ~= NONE) end
  need('msg', call('HLEN', MSG) == depth)
  local rows, ids = first_ready()
  need('ent', rows and call('HLEN', ENT) >= active)
  local letters, index, of = call('HLEN', DLQ), call('ZCARD', DLQINDEX), call('HLEN', DLQOF)
  need('dlq', letters >= index and letters >= of)
  need('dlqindex', index >= letters and index >= of)
  need('dlqof', of >= letters and of >= index)
  for i = 1, #running do
    local record = ids and message_of(running[i].key, running[i].running)
    ids = ids and (not record or keeps_id(running[i].key, record))
  end
  need('kept', ids and all_kept())
  need('expiry', all_expire())
  local m = member_of(incarnation)
  if m and m[9] ~= '1' then
    need('owns', owns_count(incarnation) >= owned + 0)
    local all = true
    for type in gmatch(m[10], '[^,]+') do all = all and contract_of(incarnation, type) ~= nil end
    need('contract', all)
  end
  return concat(missing, ',')
end

local function audit(incarnation, owned, cursor)
  local next, rows = scan(ENT, cursor, '1000')
  local list, running = { next, '' }, {}
  for i = 1, #rows, 2 do
    local e = parse_row(rows[i], rows[i + 1])
    local isUnready = e.ready and not call('ZSCORE', READY, e.key)
    if isUnready or (e.owner ~= '0' and not member_of(e.owner)) then push(list, e.key, e.owner) end
    if e.keep == '1' and #running < COMPARED_MAX then running[#running + 1] = e end
  end
  list[2] = missing_keys(incarnation, owned, running)
  return concat(list, FS)
end
