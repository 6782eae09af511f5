-- leave: ends a member that owns nothing.
-- args     generation incarnation token, last heartbeat and last batch that were acknowledged
-- answer   nothing
-- refuses  LOST UNKNOWN OWNS(entities)

-- Ends the session: no later copy of its batches applies. A dead member is deleted once it owns nothing.
local function seal(incarnation, m)
  local session = 's' .. incarnation .. '.' .. m[4]
  if call('HEXISTS', META, 't' .. incarnation) == 1 then
    call('HSET', META, 't' .. incarnation, concat({ m[4], m[7], hget(META, session) or '0' }, FS))
  end
  call('HDEL', META, session, session .. ':0', session .. ':1')
  m[9] = '1'
  if owns_count(incarnation) > 0 then
    call('HSET', MEMBER, incarnation, concat(m, FS))
  else
    call('HDEL', MEMBER, incarnation)
    call('HDEL', OWNS, incarnation)
    for type in gmatch(m[10], '[^,]+') do
      call('HDEL', CONTRACT, incarnation .. FS .. type)
      call('HDEL', SCHEMA, incarnation .. FS .. type)
    end
  end
  recount_workers()
end

local function leave(its, incarnation, token, heartbeat, batch)
  local stranger = stranger_of(its, incarnation, token, heartbeat, batch)
  if stranger == 'FENCED' then return '' end
  if stranger then return refuse(stranger) end
  local m = member_of(incarnation)
  local owns = owns_count(incarnation)
  if owns > 0 then return refuse('OWNS', int(owns)) end
  local bad = open_writes()
  if bad then return bad end
  seal(incarnation, m)
  return ''
end
