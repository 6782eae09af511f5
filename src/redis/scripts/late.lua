-- late: records in a dead letter how its attempt ended after its incarnation was evicted.
-- args     sequence, attempt, incarnation, outcome, detail
-- answer   nothing
-- refuses  NOT_YET NO_LETTER
local function late(key, s, attempt, incarnation, outcome, detail)
  local field = key .. RS .. s .. RS .. attempt
  local id = letterIds[field] or hget(DLQOF, field)
  local text = id and (letterTexts[id] or hget(DLQ, id))
  local f = text and split(text)
  if not f or f[4] ~= incarnation then
    local m = member_of(incarnation)
    local e = entity_of(key)
    if (e and e.owner == incarnation) or (m and m[9] ~= '1') then return refuse('NOT_YET') end
    return refuse('NO_LETTER')
  end
  f[6], f[7] = outcome, detail
  set_letter(id, concat(f, FS))
  return ''
end
