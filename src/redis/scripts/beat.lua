-- beat: extends the lease by the store's clock.
-- args     incarnation beat
-- answer   now leaseUntil
-- refuses  FENCED STALE_BEAT(beat)
local function beat(incarnation, number)
  local m = member_of(incarnation)
  if not m or m[9] == '1' then return refuse('FENCED') end
  if number + 0 <= m[7] + 0 then return refuse('STALE_BEAT', m[7]) end
  local bad = open_writes()
  if bad then return bad end
  m[7], m[8] = number, int(now + hget(META, 'leaseTtl'))
  call('HSET', MEMBER, incarnation, concat(m, FS))
  return nowS .. FS .. m[8]
end
