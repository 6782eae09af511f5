-- shed: without memory, drops large results that are kept by an id of the caller for longer than resultTtl; the id stays.
-- args     number of candidates that were looked at before
-- answer   where to continue, 0 if there are no more
-- refuses  nothing
local SHED_LOOKED_AT, SHED_READ_BYTES, LARGE_RESULT_BYTES = 250, 4194304, 1024

local function shed(from)
  -- Entries above `after` are kept only for an id of the caller; entries up to `til` ended long enough ago. Reads by rank: a
  -- LIMIT with an offset would walk all entries before it.
  local after, til = int(now + resultTtl), int(now - resultTtl + entryTtl)
  local start = call('ZCOUNT', EXPIRY, '-inf', after) + from
  local stop = call('ZCOUNT', EXPIRY, '-inf', til)
  if stop > start + SHED_LOOKED_AT then stop = start + SHED_LOOKED_AT end
  local due = stop > start and call('ZRANGE', EXPIRY, int(start), int(stop - 1), 'WITHSCORES') or {}
  local looked, bytes = 0, 0
  while 2 * looked < #due and bytes < SHED_READ_BYTES do
    local field, at = due[2 * looked + 1], int(due[2 * looked + 2] + 0)
    looked = looked + 1
    local size = find(field, RS, 1, true) and call('HSTRLEN', KEPT, field) or 0
    if size > LARGE_RESULT_BYTES then
      bytes = bytes + size
      local s, digest, state, expiresAt, result = match(kept_of(field) or '', '^(%d+)\31([^\31]*)\31(%a+)\31(%d+)\31([^\31]*)\31')
      if state == 'completed' and expiresAt == at and #result > LARGE_RESULT_BYTES then
        set_kept(field, s, digest, state, expiresAt, '', 'dropped')
      end
    end
  end
  if 2 * looked == #due and looked < SHED_LOOKED_AT then return '0' end
  return int(from + looked)
end
