-- purge: deletes a dead letter.
-- args     dead letter; with limits: max, ttl (0: none)
-- answer   nothing
-- refuses  CLOSED ABSENT WITHIN_LIMITS

-- Returns whether the dead letter is the oldest of more than max, or older than ttl.
local function past_limit(id, diedAt, max, ttl)
  if max ~= '0' and call('HLEN', DLQ) > max + 0 and call('ZRANGE', DLQINDEX, '0', '0')[1] == id then return true end
  return ttl ~= '0' and diedAt + ttl <= now
end

local function purge(id, max, ttl)
  if generation == CLOSED or generation == DAMAGED then return refuse('CLOSED') end
  local text = hget(DLQ, id)
  if not text then return refuse('ABSENT') end
  local f = split(text)
  if max and not past_limit(id, f[5], max, ttl) then return refuse('WITHIN_LIMITS') end
  local bad = open_writes()
  if bad then return bad end
  local field = f[1] .. RS .. f[15]
  local known = f[13] == '1' and hget(KEPT, field)
  if known and match(known, '^%d+') == f[9] then
    local s, digest, rest = match(known, '^(%d+)\31([^\31]*)\31%a+\31(.*)$')
    call('HSET', KEPT, field, s .. FS .. digest .. FS .. 'purged' .. FS .. rest)
  end
  call('HDEL', DLQ, id)
  call('ZREM', DLQINDEX, id)
  call('HDEL', DLQOF, f[1] .. RS .. f[9] .. RS .. f[11])
  return ''
end
