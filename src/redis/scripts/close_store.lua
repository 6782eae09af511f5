-- closeStore: closes the store to every node of that generation, and to newcomers.
-- args     generation
-- answer   nothing
-- refuses  nothing
local function close_store(of)
  if generation ~= of then return '' end
  local bad = open_writes()
  if bad then return bad end
  call('HSET', META, 'generation', CLOSED)
  return ''
end
