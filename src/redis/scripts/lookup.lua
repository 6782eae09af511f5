-- lookup: the state of a message.
-- args     entity id sequence, the generation that the caller expects ('' for any)
-- answer   state result error
-- refuses  LOST ABSENT
local function lookup(key, id, s, its)
  if its ~= '' and its ~= generation then return refuse('LOST') end
  local k = kept_of(key .. RS .. id)
  if k then
    local state, result, why = match(k, '^%d+\31[^\31]*\31(%a+)\31%d+\31([^\31]*)\31(.*)$')
    return state .. FS .. result .. FS .. why
  end
  local record = message_of(key, s)
  if not record or split(record)[6] ~= id then return refuse('ABSENT') end
  return 'live' .. FS .. FS
end
