-- claim: makes this incarnation the owner, under the next fence. If it is the owner already, the fence stays.
-- args     none
-- answer   fence holdUntil pending
-- refuses  UNDECLARED OWNED(owner)
local function claim(key)
  if not contract_of(ME, type_of(key)) then return refuse('UNDECLARED') end
  local e = entity_of(key)
  local owner = e and e.owner or '0'
  if owner ~= '0' and owner ~= ME then return refuse('OWNED', owner) end
  e = e or entity_or_new(key)
  if owner == '0' then
    fence = fence + 1
    e.owner, e.fence = ME, int(fence)
    ownsDelta[ME] = (ownsDelta[ME] or 0) + 1
  end
  settle(e)
  return e.fence .. FS .. e.hold .. FS .. int(pending_count(e))
end
