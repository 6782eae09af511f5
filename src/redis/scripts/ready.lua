-- ready: the entities that could begin since before now - age, oldest first, and their owners.
-- args     age max
-- answer   per entity: entity owner
local function list_ready(age, max)
  local due = call('ZRANGEBYSCORE', READY, '-inf', int(now - age), 'LIMIT', '0', max)
  local list = {}
  for i = 1, #due do
    local e = entity_of(due[i])
    push(list, due[i], e and e.owner or '0')
  end
  return concat(list, FS)
end
