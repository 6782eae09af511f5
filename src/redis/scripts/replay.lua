-- replay: appends a dead letter's message again, under another id, once.
-- args     letter force (1 or 0)
-- answer   id sequence
-- refuses  CLOSED ABSENT REPLAYED NEEDS_FORCE QUEUE_DEPTH_EXCEEDED(limit) WORKER_LIMIT_EXCEEDED(limit)
local function replay(id, force)
  if generation == CLOSED then return refuse('CLOSED') end
  local text = hget(DLQ, id)
  if not text then return refuse('ABSENT') end
  local f = split(text)
  if f[8] ~= '' then return refuse('REPLAYED') end
  if force ~= '1' and f[6] == 'completed' then return refuse('NEEDS_FORCE') end
  -- From the tenth field on it is the message: name attempt notBefore given waiter id digest replayOf headers chain payload.
  local name, headers, payload, newId = f[10], f[18], f[20], '%.replay-' .. id
  local body = concat({ name, '1', '0', '0', '0', newId, '', id, headers, '', payload }, FS)
  local answer = append(f[1], nil, body, '0', nil, nil)
  if sub(answer, 1, 1) == '!' then return answer end
  f[8] = newId
  set_letter(id, concat(f, FS))
  return flush(true, {}) or newId .. FS .. match(answer, '^%d+')
end
