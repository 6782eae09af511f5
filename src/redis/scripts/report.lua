-- report: what a member says of itself and of others; the newest counts.
-- args     incarnation, 1 if it may lead, the incarnations that it cannot reach joined by commas
-- answer   nothing
-- refuses  FENCED
local function report(incarnation, eligible, unreachable)
  local m = member_of(incarnation)
  if not m or m[9] == '1' then return refuse('FENCED') end
  local bad = open_writes()
  if bad then return bad end
  m[11], m[12] = eligible, unreachable
  call('HSET', MEMBER, incarnation, concat(m, FS))
  return ''
end
