-- Applies a batch of only the most common steps, on rows without holes and holds, and without parsing the rows. Each step has the
-- same effect as in append.lua, claim.lua, begin.lua and finish.lua. If one step is not plain, nothing has been written yet, and
-- the general part decides all steps.
--
--   a  append                                     k  claim of an entity without a record
--   b  append; begins at once if the entity is    g  begin of a head in its first attempt
--      idle and owned by this incarnation         f  finish of a first attempt; begins such a head
--
-- Straight-line code without functions: see head.lua.
repeat
  if count > 1000 or find(kinds, '[^abfgk]') then break end
  local depth, active, fence, claimed = depth, active, fence, 0
  local rows = count > 0 and call('HMGET', ENT, unpack(ARGV, KEYS_AT + 1, KEYS_AT + count)) or {}
  local rowOf = {}
  for i = 1, count do
    local row = rows[i]
    rowOf[ARGV[KEYS_AT + i]] = row ~= NONE and row or false
  end

  -- heads: messages that finishes and begins may begin; ends: messages of which a finish may have to keep something.
  local wanted, wantedIn, wantedBy, nwanted, heads, ends, at = {}, {}, {}, 0, {}, {}, ARGS_AT
  for i = 1, count do
    local kind = sub(kinds, i, i)
    if kind == 'f' then
      local key, s = ARGV[KEYS_AT + i], ARGV[at + 1]
      local row = rowOf[key] or 'r'
      local last = sub(row, -1) == 'r'
      if not last and not find(row, '+', 1, true) then
        nwanted = nwanted + 1
        wanted[nwanted], wantedIn[nwanted], wantedBy[nwanted] = key .. RS .. s, ends, i
        last = row == ARGV[at] .. ',1,1,' .. s .. ',0,' .. s .. ',0'
      end
      if not last and ARGV[at + 2] ~= '-1' then
        nwanted = nwanted + 1
        wanted[nwanted], wantedIn[nwanted], wantedBy[nwanted] = key .. RS .. format('%.0f', s + 1), heads, i
      end
      at = at + 4
    elseif kind == 'g' then
      local key = ARGV[KEYS_AT + i]
      local first = match(rowOf[key] or '', '^%d+,%d+,0,0,0,(%d+),')
      if first then
        nwanted = nwanted + 1
        wanted[nwanted], wantedIn[nwanted], wantedBy[nwanted] = key .. RS .. format('%.0f', first + 1), heads, i
      end
      at = at + 2
    elseif kind ~= 'k' then
      at = at + 1
    end
  end
  if nwanted > 0 then
    local records = call('HMGET', MSG, unpack(wanted, 1, nwanted))
    for i = 1, nwanted do
      if records[i] ~= NONE then wantedIn[i][wantedBy[i]] = records[i] end
    end
  end
  local ttls = next(ends) and call('HMGET', META, 'resultTtl', 'entryTtl')

  local depthMax, mine, limit = ARGV[6], ME .. ',', ARGV[6] + 0
  local FIRST = '1' .. FS .. '0' .. FS .. '0' .. FS
  local FOR_NOBODY, FOR_ME = FIRST .. '0' .. FS, FIRST .. ME .. FS
  local contracts, lastType, lastName = {}, nil, nil
  local entSet, nentSet, msgSet, nmsgSet, msgDel, nmsgDel = {}, 0, {}, 0, {}, 0
  local wasReady, readySet, nreadySet, readyDel, nreadyDel = {}, {}, 0, {}, 0
  local keptSet, expirySet, nkept = {}, {}, 0
  local answers, plain = {}, true
  at = ARGS_AT
  for i = 1, count do
    local kind, key, answer = sub(kinds, i, i), ARGV[KEYS_AT + i], nil
    local row = rowOf[key]
    -- The message that this step may begin, if this incarnation declares it. Its type and name are mostly those of the last step.
    local begins = heads[i]
    if kind == 'b' then begins = ARGV[at] end
    if (begins or kind == 'k') and not (lastType and find(key, lastType, 1, true) == 1 and find(begins or lastName, lastName, 1, true) == 1) then
      local type = sub(key, 1, find(key, ':', 1, true) - 1)
      local text = contracts[type]
      if text == nil then
        text = call('HGET', CONTRACT, ME .. FS .. type)
        if text == NONE then text = false end
        contracts[type] = text
      end
      if kind == 'k' and not text then
        plain = false
        break
      end
      local name = begins and sub(begins, 1, find(begins, FS, 1, true))
      if name and text and find(match(text, '^%d+\31[^\31]*(\31.*)$'), FS .. name, 1, true) then
        lastType, lastName = type .. ':', name
      else
        begins = nil
      end
    end
    -- For a head that begins: the start of its row, its sequence, the tail's sequence, and the sequence that the owner holds.
    local prefix, head, tail, have = nil, nil, nil, nil
    if kind == 'k' then
      if row == false then
        fence, claimed = fence + 1, claimed + 1
        local f = format('%.0f', fence)
        row, answer = mine .. f .. ',' .. m[7], f .. FS .. '0' .. FS .. '0'
      end
    elseif kind == 'f' then
      local own, s, before, ended = ARGV[at], ARGV[at + 1], nil, true
      have = ARGV[at + 2]
      if row == own .. 'r' then
        tail = s
      elseif row then
        before, tail = match(row, '^(.*)%+(%d+)$')
        if before ~= own then
          before, tail = match(row, '^(.*,0),(%d+),0$')
          ended = false
          if before == own .. ',1,1,' .. s .. ',0' and ends[i] then
            local given, id, digest = match(ends[i], '^[^\31]*\31%d+\31%d+\31(%d)\31%d+\31([^\31]*)\31([^\31]*)\31')
            local field, expiresAt = key .. RS .. id, format('%.0f', now + ttls[given + 1])
            keptSet[nkept + 1], keptSet[nkept + 2] = field, s .. FS .. digest .. FS .. 'completed' .. FS .. expiresAt .. FS .. ARGV[at + 3] .. FS
            expirySet[nkept + 1], expirySet[nkept + 2] = expiresAt, field
            nkept, ended = nkept + 2, true
          end
        end
      end
      if ended and tail == s then
        active, row, answer = active - 1, own, ''
      elseif ended and tail and begins then
        prefix, head = sub(own, 1, -1 - #s), format('%.0f', s + 1)
      end
      depth, nmsgDel = depth - 1, nmsgDel + 1
      msgDel[nmsgDel] = key .. RS .. s
      at = at + 4
    elseif kind == 'g' then
      local own, first = mine .. ARGV[at] .. ',', nil
      first, tail = match(row or '', '^%d+,%d+,0,0,0,(%d+),0,(%d+),0$')
      if begins and first and find(row, own, 1, true) == 1 then
        prefix, head, have = own, format('%.0f', first + 1), ARGV[at + 1]
        wasReady[key], nreadyDel = true, nreadyDel + 1
        readyDel[nreadyDel] = key
      end
      at = at + 2
    elseif depthMaxTotal == 0 or depth < depthMaxTotal then
      local s = nil
      local owner, running, mark, tail = match(row or '', '^(%d+,%d+,)(%d+)([r+]?)(%d*)$')
      if mark == '' then
        if workersMax == 0 or active < workersMax then
          active, s = active + 1, format('%.0f', running + 1)
          if begins and find(owner, mine, 1, true) == 1 then
            row, answer = owner .. s .. 'r', s
          elseif not wasReady[key] then
            row, answer = owner .. '0,0,0,' .. running .. ',0,' .. s .. ',0', s .. FS .. '1' .. FS .. match(owner, '^%d+')
            readySet[nreadySet + 1], readySet[nreadySet + 2] = format('%.0f', now - AT_ONCE), key
            nreadySet = nreadySet + 2
          end
        end
      elseif mark then
        if mark == 'r' then tail = running end
        local live = tail - running + 1
        if limit == 0 or live < limit then
          s = format('%.0f', tail + 1)
          row = owner .. running .. '+' .. s
          answer = s .. FS .. format('%.0f', live + 1) .. FS .. match(owner, '^%d+')
        end
      elseif row then
        local before, running, first, tail = match(row, '^(%d+,%d+,(%d+),%d+,%d,(%d+),0,)(%d+),0$')
        if before and (running == '0' or running == first) then
          local live = tail - first + (running == '0' and 0 or 1)
          if limit == 0 or live < limit then
            s = format('%.0f', tail + 1)
            row, answer = before .. s .. ',0', s .. FS .. format('%.0f', live + 1) .. FS .. match(row, '^%d+')
          end
        end
      end
      if answer then
        depth = depth + 1
        msgSet[nmsgSet + 1], msgSet[nmsgSet + 2] = key .. RS .. s, ARGV[at] .. STAMP
        nmsgSet = nmsgSet + 2
      end
      at = at + 1
    end
    if head then
      local rest = #lastName + 1
      if find(begins, FOR_NOBODY, rest, true) == rest or find(begins, FOR_ME, rest, true) == rest then
        row, answer = prefix .. head .. (head == tail and 'r' or '+' .. tail), head .. FS .. '1'
      elseif find(begins, '^1\0310\31', rest) then
        row, answer = prefix .. head .. ',1,1,' .. head .. ',0,' .. tail .. ',0', head .. FS .. '1'
      end
      if answer and head ~= have and told < TOLD_MAX then
        answer, told = answer .. FS .. begins, told + #begins
      end
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

  -- flush.lua explains the order of the writes, and why the types are checked.
  local READY, KEPT, EXPIRY = BASE .. 'ready', BASE .. 'kept', BASE .. 'expiry'
  local checks = {}
  if nwanted == 0 and nmsgSet + nmsgDel > 0 then checks = { MSG, 'hash' } end
  if nreadySet + nreadyDel > 0 then checks[#checks + 1], checks[#checks + 2] = READY, 'zset' end
  if claimed > 0 then checks[#checks + 1], checks[#checks + 2] = OWNS, 'hash' end
  if nkept > 0 then checks[#checks + 1], checks[#checks + 2], checks[#checks + 3], checks[#checks + 4] = KEPT, 'hash', EXPIRY, 'zset' end
  for i = 1, #checks, 2 do
    local t = call('TYPE', checks[i])
    t = t.ok or t
    if t ~= 'none' and t ~= checks[i + 1] then return { err = 'WRONGTYPE ' .. checks[i] .. ' holds a ' .. t .. ', not a ' .. checks[i + 1] } end
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
  if nreadySet > 0 then call('ZADD', READY, unpack(readySet)) end
  if nreadyDel > 0 then call('ZREM', READY, unpack(readyDel)) end
  if nkept > 0 then
    call('HSET', KEPT, unpack(keptSet))
    call('ZADD', EXPIRY, unpack(expirySet))
  end
  return reply
until true
