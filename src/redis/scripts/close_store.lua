-- shut: closes the store to whoever works with that generation, and to newcomers.
-- args     generation
-- answer   nothing
-- refuses  nothing
local function shut(of)
  if generation ~= of then return '' end
  local bad = open_writes()
  if bad then return bad end
  call('HSET', META, 'generation', CLOSED)
  return ''
end
