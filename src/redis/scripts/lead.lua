-- lead: makes the eligible live member with the lowest serverId the master of its group until a given time, under the next epoch.
-- args     generation incarnation token
-- answer   epoch until
-- refuses  LOST UNKNOWN FENCED LED(incarnation) NOT_LOWEST(incarnation) TOO_EARLY(from)

-- Compares bytes: Lua's "<" depends on the server's locale.
local function precedes(a, b)
  for i = 1, #a < #b and #a or #b do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Returns how many other members of the group report each incarnation as unreachable, in one pass over all reports: a pass per
-- member would make a call quadratic in the members.
local function reports_in(group)
  local reports = {}
  for by, m in pairs(group) do
    local seen = { [by] = true }
    for other in gmatch(m[12], '[^,]+') do
      if not seen[other] then seen[other], reports[other] = true, (reports[other] or 0) + 1 end
    end
  end
  return reports
end

local function lowest_of(list)
  local lowest, name
  for incarnation, m in pairs(list) do
    if not lowest or precedes(m[1], name) then lowest, name = incarnation, m[1] end
  end
  return lowest
end

-- Returns the members of the group that live and handle something, and those of them that may lead.
local function group_of(me)
  local group, eligible, count = {}, {}, 0
  for incarnation, m in pairs((live_members())) do
    if m[8] + 0 > now and m[2] == me[2] and m[10] ~= '' then group[incarnation], count = m, count + 1 end
  end
  local reports = reports_in(group)
  for incarnation, m in pairs(group) do
    -- A member that a majority of the others reports as unreachable may not lead.
    if m[11] == '1' and (reports[incarnation] or 0) * 2 <= count - 1 then eligible[incarnation] = m end
  end
  return group, eligible
end

local function lead(its, incarnation, token)
  local stranger = stranger_of(its, incarnation, token)
  if stranger then return refuse(stranger) end
  local me = member_of(incarnation)
  if me[8] + 0 <= now then return refuse('FENCED') end
  local record = hget(LEADER, me[2])
  local leader, epoch, untilMs
  if record then leader, epoch, untilMs = match(record, '^(%d+)\31(%d+)\31(%d+)') end
  local leaderTtl, debounce = hget(META, 'leaderTtl'), hget(META, 'leaderDebounce')
  -- If any group has a leader record, an epoch was issued. If the counter is missing then, the store has lost it.
  if not leaderTtl or not debounce or (not hget(META, 'epoch') and call('HLEN', LEADER) > 0) then return refuse('LOST') end
  local newUntil = int(now + leaderTtl)
  local inForce = leader and untilMs + 0 > now
  if inForce and leader ~= incarnation then return refuse('LED', leader) end
  local group, eligible = group_of(me)
  if inForce then
    if not eligible[incarnation] and next(eligible) then return refuse('NOT_LOWEST', lowest_of(eligible)) end
  else
    -- A leader that let its record expire is skipped.
    if leader and leader ~= incarnation then group[leader], eligible[leader] = nil, nil end
    local candidate = lowest_of(next(eligible) and eligible or group)
    if candidate ~= incarnation then return refuse('NOT_LOWEST', candidate) end
    -- A member that joined in the future did so before the clock was set back.
    local from = me[5] + debounce
    if me[5] + 0 <= now and from > now then return refuse('TOO_EARLY', int(from)) end
    epoch = nil
  end
  local bad = open_writes()
  if bad then return bad end
  -- Only a new master takes an epoch from the counter. A renewal keeps the group's own epoch; other groups may have higher ones.
  epoch = epoch or int(call('HINCRBY', META, 'epoch', '1'))
  call('HSET', LEADER, me[2], incarnation .. FS .. epoch .. FS .. newUntil)
  return epoch .. FS .. newUntil
end
