-- expire: forgets what retention no longer keeps: results and ids whose time is over, entities that only a hold kept.
-- args     max
-- answer   count
-- refuses  nothing

-- Whether the entry was still due; it is deleted then.
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
  -- What was collected so far may be due itself, so it is written before the look at what is due.
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
