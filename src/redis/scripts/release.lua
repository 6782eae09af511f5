-- release: gives the entity up; with `handoff` also if messages are pending.
-- args     fence, handoff (1 or 0)
-- answer   nothing
-- refuses  FENCED RUNNING(sequence) MORE(pending)
local function release(key, fence, handoff)
  local e = owned_by_me(key, fence)
  if not e then return refuse('FENCED') end
  if e.running ~= '0' then return refuse('RUNNING', e.running) end
  local pending = pending_count(e)
  if handoff ~= '1' and pending > 0 then return refuse('MORE', int(pending)) end
  e.owner = '0'
  ownsDelta[ME] = (ownsDelta[ME] or 0) - 1
  settle(e)
  return ''
end
