-- Control operations write directly, after they have decided.

-- Call before the first write. Returns an error reply if a later write could fail because of a key's type. Memory is not checked:
-- a heartbeat has to succeed without any.
local function open_writes()
  local bad = check_type(MEMBER, 'hash') or check_type(CONTRACT, 'hash') or check_type(OWNS, 'hash') or check_type(LEADER, 'hash')
    or check_type(SCHEMA, 'hash') or check_type(KEPT, 'hash')
    or check_type(DLQ, 'hash') or check_type(DLQINDEX, 'zset') or check_type(DLQOF, 'hash')
  if bad then return bad end
  call('HDEL', META, '')
  written = true
  return nil
end
