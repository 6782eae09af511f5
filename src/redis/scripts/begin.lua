-- begin: starts the head of an owned entity.
-- args     fence, have (the sequence whose message the owner holds, 0 for none)
-- answer   sequence attempt | sequence attempt message, if the owner does not hold it and the reply has room
-- refuses  FENCED RUNNING(sequence) EMPTY HELD(until) NOT_BEFORE(until) UNDECLARED

-- Returns the entity if this incarnation owns it under this fence, else nil.
local function owned_by_me(key, fence)
  local e = entity_of(key)
  if e and e.owner == ME and e.fence == fence then return e end
  return nil
end

-- Returns a refusal, or nil and the head's sequence and record.
local function why_not_begin(e)
  if e.running ~= '0' then return refuse('RUNNING', e.running) end
  if e.first == e.tail then return refuse('EMPTY') end
  if is_held(e) then return refuse('HELD', e.hold) end
  local s, record = peek(e)
  if not s then return refuse('EMPTY') end
  if s == 'far' then return refuse('NOT_BEFORE', nowS) end
  local name, notBefore = match(record, '^([^\31]*)\31%d+\31(%d+)\31')
  if notBefore ~= '0' and notBefore + 0 > now then return refuse('NOT_BEFORE', notBefore) end
  if not declares(e.key, name) then return refuse('UNDECLARED') end
  return nil, s, record
end

local function begin_head(e, s, record, have)
  local attempt, given, waiter = match(record, '^[^\31]*\31(%d+)\31%d+\31(%d)\31(%d+)\31')
  local keep = (given == '1' or (waiter ~= '0' and waiter ~= ME)) and '1' or '0'
  e.running, e.attempt, e.keep, e.first = s, attempt, keep, s
  messages[e.key .. RS .. s] = record
  normalise(e)
  if s == have or told >= TOLD_MAX then return s .. FS .. attempt end
  told = told + #record
  return s .. FS .. attempt .. FS .. record
end

local function begin(key, fence, have)
  local e = owned_by_me(key, fence)
  if not e then return refuse('FENCED') end
  local refusal, s, record = why_not_begin(e)
  if refusal then return refusal end
  local answer = begin_head(e, s, record, have)
  settle(e)
  return answer
end
