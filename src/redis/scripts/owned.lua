-- owned: a page of the entities that an incarnation owns. Pages follow HSCAN: a page may be empty, or repeat an entity.
-- args     incarnation cursor
-- answer   cursor and the entities
local function list_owned(incarnation, cursor)
  local page = call('HSCAN', ENT, cursor, 'COUNT', '1000')
  local list, rows, prefix = { page[1] }, page[2], incarnation .. ','
  -- ioredis-mock counts a nested list from 0.
  local i = rows[0] and 0 or 1
  while rows[i] do
    if sub(rows[i + 1], 1, #prefix) == prefix then list[#list + 1] = rows[i] end
    i = i + 2
  end
  return concat(list, FS)
end
