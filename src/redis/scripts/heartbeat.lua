-- heartbeat: extends the lease by the store's clock.
-- args     generation incarnation token heartbeat acknowledged
-- answer   now leaseUntil counters
-- refuses  LOST UNKNOWN FENCED STALE_HEARTBEAT(heartbeat)
local function heartbeat(its, incarnation, token, number, acknowledged)
  local stranger = stranger_of(its, incarnation, token, acknowledged)
  if stranger then return refuse(stranger) end
  local m, leaseTtl = member_of(incarnation), hget(META, 'leaseTtl')
  if not leaseTtl then return refuse('LOST') end
  if number + 0 <= m[7] + 0 then return refuse('STALE_HEARTBEAT', m[7]) end
  local bad = open_writes()
  if bad then return bad end
  m[7], m[8] = number, int(now + leaseTtl)
  call('HSET', MEMBER, incarnation, concat(m, FS))
  return nowS .. FS .. m[8] .. FS .. counters()
end
