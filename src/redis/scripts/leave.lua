-- leave: ends a member that owns nothing.
-- args     incarnation
-- answer   nothing
-- refuses  OWNS(entities)

-- From here on no batch of that incarnation applies, whenever its copies arrive. The dead are forgotten once they own nothing.
local function seal(incarnation, m)
  local session = 's' .. incarnation
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

local function leave(incarnation)
  local m = member_of(incarnation)
  if not m or m[9] == '1' then return '' end
  local owns = owns_count(incarnation)
  if owns > 0 then return refuse('OWNS', int(owns)) end
  local bad = open_writes()
  if bad then return bad end
  seal(incarnation, m)
  return ''
end
