-- Dead letters and the end of messages, as a batch writes them.
local letterTexts, letterIds = {}, {}

-- Deletes a message that reached a terminal state. With `keep`, a record stays under its id as long as retention keeps it.
-- `me`: the incarnation that passes the result to its own waiters ('0': none); nil: no node waits. `record` is read with `keep`.
local function finish_message(e, s, keep, record, state, result, why, me)
  depth = depth - 1
  if e.running == '0' and e.first == e.tail then active = active - 1 end
  delete_message(e.key, s)
  if not keep then return end
  local given, waiter, id, digest = match(record, '^[^\31]*\31%d+\31%d+\31(%d)\31(%d+)\31([^\31]*)\31([^\31]*)\31')
  if given == '0' and (waiter == '0' or waiter == me or not me) then return end
  local expiresAt = int(now + (given == '1' and entryTtl or resultTtl))
  local field = e.key .. RS .. id
  set_kept(field, s, digest, state, expiresAt, result, why)
  push(expirySet, expiresAt, field)
end

local function set_letter(id, text)
  letterTexts[id] = text
  push(dlqSet, id, text)
end

-- Adds the dead letter of an attempt.
local function add_dead_letter(key, s, record, reason, why, incarnation)
  letter = letter + 1
  local id = int(letter)
  local _, attempt = match(record, '^([^\31]*)\31(%d+)\31')
  local field = key .. RS .. s .. RS .. attempt
  letterIds[field] = id
  set_letter(id, key .. FS .. reason .. FS .. why .. FS .. incarnation .. FS .. nowS .. FS .. FS .. FS .. FS .. s .. FS .. record)
  push(dlqIndexSet, id, id)
  push(dlqOfSet, field, id)
end
