-- takeover: takes the entity from a dead incarnation. A running message is interrupted, or requeued at the head.
-- args     incarnation
-- answer   holdUntil | holdUntil sequence id waiter end name, if a message was running; end: 1 requeued, 0 dead letter added,
--          2 neither (a query)
-- refuses  OWNED(owner) NOT_DEAD
-- Prefix of query names, which follow all names in a contract.
local QUERY = '\29'
local INTERRUPTED = '{"name":"Interrupted","message":"the node that ran the handler was lost"}'

-- Removes the dead owner from the entity. A member that then owns nothing is deleted.
local function disown(e)
  local incarnation = e.owner
  e.owner = '0'
  local m = member_of(incarnation)
  if not m then return end
  ownsDelta[incarnation] = (ownsDelta[incarnation] or 0) - 1
  if m[9] ~= '1' or owns_count(incarnation) > 0 then return end
  memberDel[#memberDel + 1] = incarnation
  for type in gmatch(m[10], '[^,]+') do contractDel[#contractDel + 1] = incarnation .. FS .. type end
end

local function takeover(key, incarnation)
  local e = entity_of(key)
  if not e or e.owner ~= incarnation then return refuse('OWNED', e and e.owner) end
  local m = member_of(incarnation)
  if m and m[9] ~= '1' then return refuse('NOT_DEAD') end
  if e.running == '0' then
    disown(e)
    settle(e)
    return e.hold
  end
  local contract, s, attempt, record = contract_of(incarnation, type_of(key)), e.running, e.attempt, message_of(key, e.running)
  local requeued = contract and contract.retries and attempt + 0 < contract.max
  local name, waiter, id = match(record, '^([^\31]*)\31%d+\31%d+\31%d\31(%d+)\31([^\31]*)\31')
  local isQuery = contract and find(contract.names, FS .. QUERY .. name .. FS, 1, true) ~= nil
  local holdUntil = now + holdMs
  if holdUntil > e.hold + 0 then e.hold = int(holdUntil) end
  disown(e)
  if requeued then
    put_back(e, s, again(record, int(attempt + 1), '0', INTERRUPTED))
  else
    e.running, e.attempt, e.keep = '0', '0', '0'
    finish_message(e, s, true, record, 'interrupted', '', INTERRUPTED, '0')
    if not isQuery then add_dead_letter(key, s, record, 'interrupted', INTERRUPTED, incarnation) end
    settle(e)
  end
  return e.hold .. FS .. s .. FS .. id .. FS .. waiter .. FS .. (requeued and '1' or isQuery and '2' or '0') .. FS .. name
end
