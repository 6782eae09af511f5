-- lead: makes the live member with the lowest serverId master of its group, for a time, under the next epoch.
-- args     incarnation
-- answer   epoch until
-- refuses  FENCED LED(incarnation) NOT_LOWEST(incarnation) TOO_EARLY(from)

-- By bytes: Lua's own "<" depends on the server's locale.
local function precedes(a, b)
  for i = 1, #a < #b and #a or #b do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function lead(incarnation)
  local me = member_of(incarnation)
  if not me or me[9] == '1' or me[8] + 0 <= now then return refuse('FENCED') end
  local record = hget(LEADER, me[2])
  local leader, epoch, untilMs
  if record then leader, epoch, untilMs = match(record, '^(%d+)\31(%d+)\31(%d+)') end
  local newUntil = int(now + hget(META, 'leaderTtl'))
  if not leader or untilMs + 0 <= now then
    local lowest, name = incarnation, me[1]
    for other, m in pairs((live_members())) do
      if m[8] + 0 > now and m[2] == me[2] and precedes(m[1], name) then lowest, name = other, m[1] end
    end
    if lowest ~= incarnation then return refuse('NOT_LOWEST', lowest) end
    local from = me[5] + hget(META, 'leaderDebounce')
    if from > now then return refuse('TOO_EARLY', int(from)) end
    epoch = int((hget(META, 'epoch') or 0) + 1)
  elseif leader ~= incarnation then
    return refuse('LED', leader)
  end
  local bad = open_writes()
  if bad then return bad end
  call('HSET', META, 'epoch', epoch)
  call('HSET', LEADER, me[2], incarnation .. FS .. epoch .. FS .. newUntil)
  return epoch .. FS .. newUntil
end
