-- ready: a page of the entities that can begin now, with their owners: first those that could begin at once, then those whose
--        hold or backoff is over; each group oldest first.
-- args     after ('' for the first page, else `next` of the page before) max
-- answer   next ('' after the last page); then per entity: entity owner since
local function list_ready(after, max)
  local from, count = 0, call('ZCOUNT', READY, '-inf', nowS)
  if after ~= '' then
    local at, entity = match(after, '^(%S+) (.*)$')
    local score = call('ZSCORE', READY, entity)
    if score and score + 0 == at + 0 then
      from = call('ZRANK', READY, entity) + 1
    else
      from = call('ZCOUNT', READY, '-inf', '(' .. at)
    end
  end
  local to, list = from + max, { '' }
  if to > count then to = count end
  if to <= from then return '' end
  local due = call('ZRANGE', READY, from, to - 1, 'WITHSCORES')
  for i = 1, #due, 2 do
    local e, at = entity_of(due[i]), due[i + 1] + 0
    push(list, due[i], e and e.owner or '0')
    list[#list + 1] = int(at < 0 and at + AT_ONCE or at)
  end
  if #due == 2 * max then list[1] = int(due[#due] + 0) .. ' ' .. due[#due - 1] end
  return concat(list, FS)
end
