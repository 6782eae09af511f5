-- letters: a page of the dead letters after one of them, oldest first.
-- args     after (0: from the first) max
-- answer   per letter: its number and record; letters joined by RS
local function list_letters(after, max)
  local ids = call('ZRANGEBYSCORE', DLQINDEX, '(' .. after, '+inf', 'LIMIT', '0', max)
  if #ids == 0 then return '' end
  local rows = hmget(DLQ, ids, 1, #ids)
  local list = {}
  for i = 1, #ids do list[i] = ids[i] .. FS .. rows[i] end
  return concat(list, RS)
end
