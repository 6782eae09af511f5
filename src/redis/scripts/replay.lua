-- replay: appends a dead letter's message again, once; under a new id, unless the caller gave the id.
-- args     dead letter, force (1 or 0)
-- answer   id sequence
-- refuses  CLOSED ABSENT REPLAYED NEEDS_FORCE QUEUE_DEPTH_EXCEEDED(limit) WORKER_LIMIT_EXCEEDED(limit)
local function replay(id, force)
  if generation == CLOSED or generation == DAMAGED then return refuse('CLOSED') end
  local text = hget(DLQ, id)
  if not text then return refuse('ABSENT') end
  local f = split(text)
  if f[8] ~= '' then return refuse('REPLAYED') end
  if force ~= '1' and f[6] == 'completed' then return refuse('NEEDS_FORCE') end
  -- The fields from the tenth on are the message: name attempt notBefore given waiter id digest replayOf headers chain payload.
  local name, given, newId, digest, headers, payload = f[10], f[13], f[15], f[16], f[18], f[20]
  -- The replay keeps an id that the caller gave, unless that id was forgotten and now belongs to a later message.
  local field = f[1] .. RS .. newId
  local known = given == '1' and kept_of(field)
  if known and match(known, '^%d+') ~= f[9] then given = '0' end
  if given == '1' then
    kept[field] = false
    if known then expiryDel[#expiryDel + 1] = field end
  else
    newId, digest = '%.replay-' .. id, ''
  end
  local body = concat({ name, '1', '0', given, '0', newId, digest, id, headers, '', payload }, FS)
  local answer = append(f[1], nil, body, '0', given == '1' and newId or nil, digest)
  if sub(answer, 1, 1) == '!' then return answer end
  f[8] = newId
  set_letter(id, concat(f, FS))
  return flush(true, {}) or newId .. FS .. match(answer, '^%d+')
end
