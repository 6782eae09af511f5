-- evict: declares a member dead whose lease has expired and that has sent no heartbeat since `heartbeatSeen`.
-- args     generation incarnation heartbeatSeen
-- answer   number of entities it owns
-- refuses  LOST NOT_LAPSED(leaseUntil) BEATING(heartbeat)
local function evict(its, incarnation, heartbeatSeen)
  if (generation or '') ~= its then return refuse('LOST') end
  local m = member_of(incarnation)
  if not m then return '0' end
  if m[9] ~= '1' then
    if m[8] + 0 > now then return refuse('NOT_LAPSED', m[8]) end
    if m[7] ~= heartbeatSeen then return refuse('BEATING', m[7]) end
    local bad = open_writes()
    if bad then return bad end
    seal(incarnation, m)
  end
  return int(owns_count(incarnation))
end
