-- bury: declares a member dead whose lease is over and whose beat stood still since `beatSeen`.
-- args     generation incarnation beatSeen
-- answer   number of entities it owns
-- refuses  LOST NOT_LAPSED(leaseUntil) BEATING(beat)
local function bury(its, incarnation, beatSeen)
  if (generation or '') ~= its then return refuse('LOST') end
  local m = member_of(incarnation)
  if not m then return '0' end
  if m[9] ~= '1' then
    if m[8] + 0 > now then return refuse('NOT_LAPSED', m[8]) end
    if m[7] ~= beatSeen then return refuse('BEATING', m[7]) end
    local bad = open_writes()
    if bad then return bad end
    seal(incarnation, m)
  end
  return int(owns_count(incarnation))
end
