-- expire: deletes what retention no longer keeps: expired results and ids, and entities whose record existed only for a hold.
-- args     max
-- answer   count
-- refuses  nothing

-- Deletes the entry if it is still due; returns whether it was.
local function forget(member, at)
  if find(member, RS, 1, true) then
    local k = kept_of(member)
    local expiresAt = k and match(k, '^%d+\31[^\31]*\31%a+\31(%d+)\31')
    if expiresAt ~= at then return false end
    kept[member] = false
    call('HDEL', KEPT, member)
    return true
  end
  local e = entity_of(member)
  if not e or e.owner ~= '0' or e.first ~= e.tail or e.running ~= '0' or is_held(e) then return false end
  settle(e)
  return true
end

local function expire(hasAppends, max)
  -- Collected changes may be due themselves, so they are written before expiry is read.
  local bad = flush(hasAppends, {}, true)
  if bad then return nil, bad end
  local count = 0
  while count < max do
    local due = call('ZRANGEBYSCORE', EXPIRY, '-inf', nowS, 'WITHSCORES', 'LIMIT', '0', int(max - count))
    if #due == 0 then break end
    for i = 1, #due, 2 do
      call('ZREM', EXPIRY, due[i])
      if forget(due[i], int(due[i + 1] + 0)) then count = count + 1 end
    end
  end
  return int(count)
end
