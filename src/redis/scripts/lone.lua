-- A batch of one step of a call between nodes: such a step comes alone most often, and somebody on another node waits for it.
-- Straight on and without functions, like plain.lua; each does the same as append.lua, begin.lua and finish.lua. What is not as
-- expected here the general part decides, and nothing has happened.
--
--   a  append to an idle entity, which nobody begins yet
--   g  begin of the head by its owner
--   f  finish of a first attempt whose result is kept for somebody else, with nothing behind it
repeat
  if not find(kinds, '^[agf]$') then break end
  local key = ARGV[KEYS_AT + 1]
  local row = call('HGET', ENT, key)
  if row == NONE or not row then break end
  local depth, active, answer = depth, active, nil
  local ZSET = BASE .. 'ready'
  local s, body, keptField, keptText, keptUntil = nil, nil, nil, nil, nil
  if kinds == 'a' then
    local owner, fence, tail = match(row, '^(%d+),(%d+),(%d+)$')
    if not owner or (depthMaxTotal > 0 and depth >= depthMaxTotal) or (workersMax > 0 and active >= workersMax) then break end
    s, body = format('%.0f', tail + 1), ARGV[ARGS_AT] .. STAMP
    row, answer = owner .. ',' .. fence .. ',0,0,0,' .. tail .. ',0,' .. s .. ',0', s .. FS .. '1' .. FS .. owner
    depth, active = depth + 1, active + 1
  elseif kinds == 'g' then
    local own = ME .. ',' .. ARGV[ARGS_AT] .. ','
    local first, tail = match(row, '^%d+,%d+,0,0,0,(%d+),0,(%d+),0$')
    if not first or first == tail or find(row, own, 1, true) ~= 1 then break end
    s = format('%.0f', first + 1)
    local record = call('HGET', MSG, key .. RS .. s)
    if record == NONE or not record then break end
    local name, attempt, given, waiter = match(record, '^([^\31]*)\31(%d+)\0310\31(%d)\31(%d+)\31')
    local text = name and call('HGET', CONTRACT, ME .. FS .. sub(key, 1, find(key, ':', 1, true) - 1))
    if not text or text == NONE or not find(match(text, '^%d+\31[^\31]*(\31.*)$'), FS .. name .. FS, 1, true) then break end
    if attempt == '1' and given == '0' and (waiter == '0' or waiter == ME) then
      row = own .. s .. (s == tail and 'r' or '+' .. tail)
    else
      local keep = (given == '1' or (waiter ~= '0' and waiter ~= ME)) and '1' or '0'
      row = own .. s .. ',' .. attempt .. ',' .. keep .. ',' .. s .. ',0,' .. tail .. ',0'
    end
    answer = s .. FS .. attempt
    if s ~= ARGV[ARGS_AT + 1] then answer = answer .. FS .. record end
  else
    local own = ARGV[ARGS_AT]
    s = ARGV[ARGS_AT + 1]
    if row ~= own .. ',1,1,' .. s .. ',0,' .. s .. ',0' then break end
    local record = call('HGET', MSG, key .. RS .. s)
    if record == NONE or not record then break end
    local given, waiter, id, digest = match(record, '^[^\31]*\31%d+\31%d+\31(%d)\31(%d+)\31([^\31]*)\31([^\31]*)\31')
    if given ~= '0' or waiter == '0' or waiter == ME then break end
    keptField, keptUntil = key .. RS .. id, format('%.0f', now + call('HGET', META, 'resultTtl'))
    keptText = s .. FS .. digest .. FS .. 'completed' .. FS .. keptUntil .. FS .. ARGV[ARGS_AT + 3] .. FS
    ZSET, row, answer = BASE .. 'expiry', own, ''
    depth, active = depth - 1, active - 1
  end

  -- See flush.lua for the order, and why the types are checked.
  local t = call('TYPE', ZSET)
  t = t.ok or t
  if t ~= 'none' and t ~= 'zset' then return { err = 'WRONGTYPE ' .. ZSET .. ' holds a ' .. t .. ', not a zset' } end
  if body then
    t = call('TYPE', MSG)
    t = t.ok or t
    if t ~= 'none' and t ~= 'hash' then return { err = 'WRONGTYPE ' .. MSG .. ' holds a ' .. t .. ', not a hash' } end
  elseif keptField then
    local KEPT = BASE .. 'kept'
    t = call('TYPE', KEPT)
    t = t.ok or t
    if t ~= 'none' and t ~= 'hash' then return { err = 'WRONGTYPE ' .. KEPT .. ' holds a ' .. t .. ', not a hash' } end
  end
  if not body then call('HDEL', META, '') end
  local reply = 'A' .. answer
  call('HSET', META, session, ARGV[4], KEPT_AS, reply, 'depth', format('%.0f', depth), 'active', format('%.0f', active))
  call('HSET', ENT, key, row)
  if body then
    call('HSET', MSG, key .. RS .. s, body)
    call('ZADD', ZSET, nowS, key)
  elseif keptField then
    call('HDEL', MSG, key .. RS .. s)
    call('HSET', BASE .. 'kept', keptField, keptText)
    call('ZADD', ZSET, keptUntil, keptField)
  else
    call('ZREM', ZSET, key)
  end
  return reply
until true
