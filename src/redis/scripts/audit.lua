-- audit: looks for keys that were deleted or evicted, by what the others say of them.
-- args     incarnation, so many entities it owns certainly, cursor. Pages follow HSCAN
-- answer   cursor, the names of the keys joined by commas; then per entity that is not in the ready set and should be: entity owner

-- Whether the first few ended messages of which something is kept have their time to expire.
local function all_expire()
  local _, rows = scan(KEPT, '0', '10')
  for i = 1, #rows, 2 do
    if not find(rows[i + 1], '^%d+\31[^\31]*\31live\31') and not call('ZSCORE', EXPIRY, rows[i]) then return false end
  end
  return true
end

-- Whether what is kept of messages is there for those that expire first.
local function all_kept()
  local first = call('ZRANGE', EXPIRY, '0', '9')
  for i = 1, #first do
    if find(first[i], RS, 1, true) and call('HEXISTS', KEPT, first[i]) == 0 then return false end
  end
  return true
end

local function missing_keys(incarnation, owned)
  local missing = {}
  local function need(name, holds)
    if not holds then missing[#missing + 1] = name end
  end
  local fields = { 'schema', 'incarnation', 'leaseTtl', 'leaderTtl', 'leaderDebounce' }
  if call('HLEN', LEADER) > 0 then fields[6] = 'epoch' end
  for i, value in ipairs(hmget(META, fields, 1, #fields)) do need('meta ' .. fields[i], value ~= NONE) end
  need('msg', call('HLEN', MSG) == depth)
  need('ent', call('HLEN', ENT) >= active)
  local letters, index, of = call('HLEN', DLQ), call('ZCARD', DLQINDEX), call('HLEN', DLQOF)
  need('dlq', letters >= index and letters >= of)
  need('dlqindex', index >= letters and index >= of)
  need('dlqof', of >= letters and of >= index)
  need('kept', all_kept())
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
  local list = { next, missing_keys(incarnation, owned) }
  for i = 1, #rows, 2 do
    local e = parse_row(rows[i], rows[i + 1])
    if e.ready and not call('ZSCORE', READY, e.key) then push(list, e.key, e.owner) end
  end
  return concat(list, FS)
end
