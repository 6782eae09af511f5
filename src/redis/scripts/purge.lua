-- purge: deletes a dead letter.
-- args     letter
-- answer   nothing
-- refuses  CLOSED ABSENT
local function purge(id)
  if generation == CLOSED then return refuse('CLOSED') end
  local text = hget(DLQ, id)
  if not text then return refuse('ABSENT') end
  local f = split(text)
  local bad = open_writes()
  if bad then return bad end
  call('HDEL', DLQ, id)
  call('ZREM', DLQINDEX, id)
  call('HDEL', DLQOF, f[1] .. RS .. f[9] .. RS .. f[11])
  return ''
end
