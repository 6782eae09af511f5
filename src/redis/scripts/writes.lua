-- Control operations write directly, once they have decided.

-- Must come before the first write: answers an error reply if a write could fail after it. Memory is not asked for: a beat
-- has to pass when there is none.
local function open_writes()
  local bad = check_type(MEMBER, 'hash') or check_type(CONTRACT, 'hash') or check_type(OWNS, 'hash') or check_type(LEADER, 'hash')
    or check_type(SCHEMA, 'hash') or check_type(KEPT, 'hash')
    or check_type(DLQ, 'hash') or check_type(DLQINDEX, 'zset') or check_type(DLQOF, 'hash')
  if bad then return bad end
  call('HDEL', META, '')
  written = true
  return nil
end
