-- `letters`: a page of the dead letters that match and come after a given one, oldest first. Ends early where reading on would take
--          long.
-- args     after (0: from the first) max type entity reason since replayed (1 or 0); '' for any
-- answer   the dead letter after which the next page begins, '' if there is none; then, each after RS: a dead letter's number and
--          record
local LOOKED_AT_MAX, READ_BYTES_MAX = '250', 524288

local function matches(record, type, entity, reason, since, replayed)
  local key, why, at, replayedAs = match(record, '^([^\31]*)\31([^\31]*)\31[^\31]*\31%d+\31(%d+)\31[^\31]*\31[^\31]*\31([^\31]*)')
  if type ~= '' and type_of(key) ~= type then return false end
  if entity ~= '' and key ~= entity then return false end
  if reason ~= '' and why ~= reason then return false end
  if since ~= '' and at + 0 < since + 0 then return false end
  return replayed == '' or (replayedAs ~= '') == (replayed == '1')
end

local function list_letters(after, max, type, entity, reason, since, replayed)
  local ids = call('ZRANGEBYSCORE', DLQINDEX, '(' .. after, '+inf', 'LIMIT', '0', LOOKED_AT_MAX)
  local all = type .. entity .. reason .. since .. replayed == ''
  local list, bytes, looked = { '' }, 0, 0
  while looked < #ids and #list <= max + 0 and bytes < READ_BYTES_MAX do
    looked = looked + 1
    local id = ids[looked]
    local record = call('HGET', DLQ, id)
    -- A missing record is reported by audit; the others can still be read.
    if record and record ~= NONE then
      bytes = bytes + #record
      if all or matches(record, type, entity, reason, since, replayed) then list[#list + 1] = id .. FS .. record end
    end
  end
  if looked < #ids or #ids == LOOKED_AT_MAX + 0 then list[1] = ids[looked] or after end
  return concat(list, RS)
end
