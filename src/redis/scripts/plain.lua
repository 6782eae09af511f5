-- A batch of nothing but the commonest steps, on short rows and without taking them apart: each does the same as
-- append.lua, claim.lua and finish.lua. One step that is not plain, and nothing has happened: the general part decides all.
--
--   a  append to an entity that is busy           k  claim of an entity that is not there
--   b  the same, or to an idle one of this        f  finish of a first attempt with nothing to keep; begins a head that
--      incarnation, which begins at once             is in its first attempt with nothing to keep
--
-- Straight on and without functions: see head.lua.
repeat
  if count > 1000 or find(kinds, '[^abfk]') then break end
  local depth, active, fence, claimed = depth, active, fence, 0
  local rows = count > 0 and call('HMGET', ENT, unpack(ARGV, KEYS_AT + 1, KEYS_AT + count)) or {}
  local rowOf = {}
  for i = 1, count do
    local row = rows[i]
    rowOf[ARGV[KEYS_AT + i]] = row ~= NONE and row or false
  end

  -- The heads that finishes may begin.
  local wanted, wantedBy, nwanted, heads, at = {}, {}, 0, {}, ARGS_AT
  for i = 1, count do
    local kind = sub(kinds, i, i)
    if kind == 'f' then
      local key = ARGV[KEYS_AT + i]
      if ARGV[at + 2] ~= '-1' and find(rowOf[key] or '', '+', 1, true) then
        nwanted = nwanted + 1
        wanted[nwanted], wantedBy[nwanted] = key .. RS .. format('%.0f', ARGV[at + 1] + 1), i
      end
      at = at + 4
    elseif kind ~= 'k' then
      at = at + 1
    end
  end
  if nwanted > 0 then
    local records = call('HMGET', MSG, unpack(wanted, 1, nwanted))
    for i = 1, nwanted do
      if records[i] ~= NONE then heads[wantedBy[i]] = records[i] end
    end
  end

  local depthMax, mine, limit = ARGV[6], ME .. ',', ARGV[6] + 0
  local FIRST = '1' .. FS .. '0' .. FS .. '0' .. FS
  local FOR_NOBODY, FOR_ME = FIRST .. '0' .. FS, FIRST .. ME .. FS
  local contracts, lastType, lastName = {}, nil, nil
  local entSet, nentSet, msgSet, nmsgSet, msgDel, nmsgDel = {}, 0, {}, 0, {}, 0
  local answers, plain = {}, true
  at = ARGS_AT
  for i = 1, count do
    local kind, key, answer = sub(kinds, i, i), ARGV[KEYS_AT + i], nil
    local row = rowOf[key]
    -- What this step may begin, if this incarnation declared it. Most often it is the type and name of the step before.
    local begins = nil
    if kind == 'b' then begins = ARGV[at] elseif kind == 'f' then begins = heads[i] end
    if (begins or kind == 'k') and not (lastType and find(key, lastType, 1, true) == 1 and find(begins or lastName, lastName, 1, true) == 1) then
      local type = sub(key, 1, find(key, ':', 1, true) - 1)
      local text = contracts[type]
      if text == nil then
        text = call('HGET', CONTRACT, ME .. FS .. type)
        if text == NONE then text = false end
        contracts[type] = text
      end
      if not text then
        plain = false
        break
      end
      if begins then
        local name = sub(begins, 1, find(begins, FS, 1, true))
        if find(match(text, '^%d+\31[^\31]*(\31.*)$'), FS .. name, 1, true) then
          lastType, lastName = type .. ':', name
        else
          begins = nil
        end
      end
    end
    if kind == 'k' then
      if row == false then
        fence, claimed = fence + 1, claimed + 1
        local f = format('%.0f', fence)
        row, answer = mine .. f .. ',' .. m[7], f .. FS .. '0' .. FS .. '0'
      end
    elseif kind == 'f' then
      local own, s, have = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      if row == own .. 'r' then
        active, row, answer = active - 1, own, ''
      elseif row and begins and (find(begins, FOR_NOBODY, #lastName + 1, true) == #lastName + 1 or find(begins, FOR_ME, #lastName + 1, true) == #lastName + 1) then
        local before, tail = match(row, '^(.*)%+(%d+)$')
        if before == own then
          local head = format('%.0f', s + 1)
          row = sub(own, 1, -1 - #s) .. head .. (head == tail and 'r' or '+' .. tail)
          answer = head .. FS .. '1'
          if head ~= have then answer = answer .. FS .. begins end
        end
      end
      if answer then
        depth, nmsgDel = depth - 1, nmsgDel + 1
        msgDel[nmsgDel] = key .. RS .. s
      end
      at = at + 4
    else
      local s = nil
      local owner, running, mark, tail = match(row or '', '^(%d+,%d+,)(%d+)([r+]?)(%d*)$')
      if depthMaxTotal > 0 and depth >= depthMaxTotal then
        s = nil
      elseif mark == '' then
        if begins and find(owner, mine, 1, true) == 1 and (workersMax == 0 or active < workersMax) then
          active, s = active + 1, format('%.0f', running + 1)
          row, answer = owner .. s .. 'r', s
        end
      elseif mark then
        if mark == 'r' then tail = running end
        local live = tail - running + 1
        if limit == 0 or live < limit then
          s = format('%.0f', tail + 1)
          row = owner .. running .. '+' .. s
          answer = s .. FS .. format('%.0f', live + 1) .. FS .. match(owner, '^%d+')
        end
      end
      if answer then
        depth = depth + 1
        msgSet[nmsgSet + 1], msgSet[nmsgSet + 2] = key .. RS .. s, ARGV[at] .. STAMP
        nmsgSet = nmsgSet + 2
      end
      at = at + 1
    end
    if not answer then
      plain = false
      break
    end
    rowOf[key], answers[i] = row, answer
    entSet[nentSet + 1], entSet[nentSet + 2] = key, row
    nentSet = nentSet + 2
  end
  if not plain then break end

  -- See flush.lua for the order, and why the types are checked.
  if nwanted == 0 and nmsgSet + nmsgDel > 0 then
    local t = call('TYPE', MSG)
    t = t.ok or t
    if t ~= 'none' and t ~= 'hash' then return { err = 'WRONGTYPE ' .. MSG .. ' holds a ' .. t .. ', not a hash' } end
  end
  if claimed > 0 then
    local t = call('TYPE', OWNS)
    t = t.ok or t
    if t ~= 'none' and t ~= 'hash' then return { err = 'WRONGTYPE ' .. OWNS .. ' holds a ' .. t .. ', not a hash' } end
  end
  if nmsgSet == 0 then
    -- Without appends no message is written, so the deletions can come first.
    if nmsgDel > 0 then call('HDEL', MSG, unpack(msgDel)) else call('HDEL', META, '') end
  end
  local reply = 'A' .. table.concat(answers, RS)
  call('HSET', META, session, ARGV[4], KEPT_AS, reply, 'depth', format('%.0f', depth), 'active', format('%.0f', active))
  if claimed > 0 then
    call('HSET', META, 'fence', format('%.0f', fence))
    call('HINCRBY', OWNS, ME, format('%.0f', claimed))
  end
  if nentSet > 0 then call('HSET', ENT, unpack(entSet)) end
  if nmsgSet > 0 then
    call('HSET', MSG, unpack(msgSet))
    if nmsgDel > 0 then call('HDEL', MSG, unpack(msgDel)) end
  end
  return reply
until true
