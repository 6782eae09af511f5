-- withdraw: ends a message that has not begun.
-- args     id, sequence
-- answer   the owner, if the message was waiting for its next attempt; else nothing
-- refuses  RUNNING(sequence) TERMINAL ABSENT
local function id_and_wait_of(record)
  local notBefore, id = match(record, '^[^\31]*\31%d+\31(%d+)\31%d\31%d+\31([^\31]*)\31')
  return id, notBefore
end

local function withdraw(key, id, s)
  local e = entity_of(key)
  local record = e and s ~= '0' and message_of(key, s) or nil
  local known, notBefore
  if record then known, notBefore = id_and_wait_of(record) end
  if known ~= id then record = nil end
  if record and e.running == s then return refuse('RUNNING', s) end
  if not record then
    return refuse(kept_of(key .. RS .. id) and 'TERMINAL' or 'ABSENT')
  end
  if e.headSeq == s then e.headFor = false end
  -- Withdrawing the head leaves no hole.
  if int(e.first + 1) == s then e.first = s else e.holes = int(e.holes + 1) end
  normalise(e)
  finish_message(e, s, true, record, 'withdrawn', '', '', nil)
  if notBefore + 0 <= now then
    settle(e)
    return ''
  end
  -- The message behind it can begin now, so settle has to compute a new ready time.
  e.ready = false
  settle(e)
  return e.owner
end
