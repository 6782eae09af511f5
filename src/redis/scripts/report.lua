-- report: stores what a member reports about itself and others; replaces its last report.
-- args     generation incarnation token, 1 if it may lead, the incarnations that it cannot reach, joined by commas
-- answer   nothing
-- refuses  LOST UNKNOWN FENCED
local function report(its, incarnation, token, eligible, unreachable)
  local stranger = stranger_of(its, incarnation, token)
  if stranger then return refuse(stranger) end
  local m = member_of(incarnation)
  local bad = open_writes()
  if bad then return bad end
  m[11], m[12] = eligible, unreachable
  call('HSET', MEMBER, incarnation, concat(m, FS))
  return ''
end
