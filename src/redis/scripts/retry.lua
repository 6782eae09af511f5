-- retry: puts the running message back at the head, for its next attempt.
-- args     fence, sequence, attempt, delay, error
-- answer   notBefore
-- refuses  FENCED NOT_RUNNING EXHAUSTED

-- Makes the running message s the head again. All sequences between it and the old head are holes.
local function put_back(e, s, record, notBefore)
  local first = int(s - 1)
  e.holes = int(e.holes + (e.first - s))
  e.first, e.running, e.attempt, e.keep = first, '0', '0', '0'
  e.headFor, e.headSeq, e.headRecord = first, s, record
  set_message(e.key, s, record)
  settle(e, notBefore)
end

local function retry(key, fence, s, attempt, delay, why)
  local e = owned_by_me(key, fence)
  if not e then return refuse('FENCED') end
  if e.running ~= s or s == '0' or e.attempt ~= attempt then return refuse('NOT_RUNNING') end
  local contract = contract_of(ME, type_of(key))
  if attempt + 0 >= (contract and contract.max or 1) then return refuse('EXHAUSTED') end
  local notBefore = now + delay
  put_back(e, s, again(message_of(key, s), int(attempt + 1), int(notBefore), why), notBefore)
  return int(notBefore)
end
