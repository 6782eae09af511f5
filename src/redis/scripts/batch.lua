-- Applies one numbered batch of a session, once and in order (core/log/apply.ts).
--
-- ARGV    3 generation  4 number  5 kinds: one letter an operation  6 depthMax of kinds a b c
--         7 number of entities  8.. entities: one an operation, then one a send; then the operations' arguments, in order
-- answer  A and the operations' answers, joined by RS | F fenced | S stale | G and the last number: gap | L lost
local kinds, count = ARGV[5], #ARGV[5]
if generation == nil or generation ~= ARGV[3] then return 'L' end
if last == nil then return 'F' end
local number, applied = ARGV[4] + 0, last + 0
if number > applied + 1 then return 'G' .. last end
if number <= applied then
  if number < 1 or number < applied - 1 then return 'S' end
  return call('HGET', META, session .. ':' .. int(number % 2))
end

-- ---- read what the operations will probably need, each kind in one call
local KEYS_AT, ARGS_AT = 7, 8 + ARGV[7]
if ARGS_AT > 8 then
  local rows = hmget(ENT, ARGV, 8, ARGS_AT - 1)
  for i = 1, ARGS_AT - 8 do
    local row = rows[i]
    rowOf[ARGV[KEYS_AT + i]] = row ~= NONE and row or false
  end
end

-- How many arguments a kind has; of F without its sends.
local ARITY = { a = 1, b = 1, c = 1, A = 4, B = 4, C = 4, k = 0, g = 2, f = 4, F = 8, r = 5, w = 2, l = 2, t = 1, y = 5, x = 1 }
local kindOf, hasAppends = {}, find(kinds, '[abcABC]') ~= nil
-- The general part, once something asks for it.
local general = nil
if find(kinds, '[^abf]') then general = load_general() end

-- wanted: fields of msg; wantedBy: the finish (by its number) or entity whose next message it is, or false.
local wanted, wantedBy, nwanted = {}, {}, 0
local ids, heads = {}, {}
local at = ARGS_AT
for i = 1, count do
  local kind = sub(kinds, i, i)
  kindOf[i] = kind
  if kind == 'b' or kind == 'a' then
    at = at + 1
  else
    local key = ARGV[KEYS_AT + i]
    local row = kind == 'f' and rowOf[key]
    if not row or find(row, '+', 1, true) == nil and sub(row, -1) ~= 'r' then
      if kind == 'f' or kind == 'F' or kind == 'g' then
        general = general or load_general()
        local runs, head, e = general.needs(key, kind == 'g')
        if runs then
          nwanted = nwanted + 1
          wanted[nwanted], wantedBy[nwanted] = runs, false
        end
        if head then
          nwanted = nwanted + 1
          wanted[nwanted], wantedBy[nwanted] = head, e
        end
        if kind == 'F' then at = at + 4 * ARGV[at + 7] end
      elseif (kind == 'A' or kind == 'B' or kind == 'C') and ARGV[at + 2] ~= '' then
        ids[#ids + 1] = key .. RS .. ARGV[at + 2]
      end
    elseif sub(row, -1) ~= 'r' then
      nwanted = nwanted + 1
      wanted[nwanted], wantedBy[nwanted] = key .. RS .. int(ARGV[at + 1] + 1), i
    end
    at = at + ARITY[kind]
  end
end
if nwanted > 0 then
  local rows = hmget(MSG, wanted, 1, nwanted)
  for i = 1, nwanted do
    local by, row = wantedBy[i], rows[i]
    if row == NONE then row = false end
    if not by then
      general.messages[wanted[i]] = row
    elseif kindOf[by] then
      heads[by] = row
    elseif row then
      by.headRecord = row
    else
      -- A hole: the head is further on.
      by.headFor = false
    end
  end
end
if #ids > 0 then
  local rows = hmget(BASE .. 'kept', ids, 1, #ids)
  for i = 1, #ids do general.kept[ids[i]] = rows[i] ~= NONE and rows[i] or false end
end

-- ---- decide
local depthMax = ARGV[6]
local sends = KEYS_AT + count
local answers = {}
at = ARGS_AT
for i = 1, count do
  local kind, key = kindOf[i], ARGV[KEYS_AT + i]
  local answer, bad
  if kind == 'f' then
    answer = finish_plain(key, at, heads[i])
    if not answer then
      general = general or load_general()
      answer = general.finish(key, at, false, sends)
    end
    at = at + 4
  elseif kind == 'b' or kind == 'a' then
    answer = append_plain(key, kind == 'b', ARGV[at], depthMax)
    if not answer then
      general = general or load_general()
      answer = general.append(key, kind == 'b' and '0' or nil, ARGV[at], depthMax, nil, nil)
    end
    at = at + 1
  elseif kind == 'c' then
    answer = general.append(key, '1', ARGV[at], depthMax, nil, nil)
    at = at + 1
  elseif kind == 'F' then
    answer = general.finish(key, at, true, sends)
    local n = ARGV[at + 7] + 0
    sends, at = sends + n, at + 8 + 4 * n
  else
    answer, bad = general.other(kind, key, at, hasAppends)
    if bad then return bad end
    at = at + ARITY[kind]
  end
  answers[i] = answer
end

-- ---- write; see flush.lua for the order
local reply = 'A' .. table.concat(answers, RS)
local meta = { session, ARGV[4], session .. ':' .. int(number % 2), reply }
if general then return general.flush(hasAppends, meta) or reply end
if nwanted == 0 and nmsgSet + nmsgDel > 0 then
  local bad = check_type(MSG, 'hash')
  if bad then return bad end
end
-- Without appends no message is written, so the deletions can come first.
if not hasAppends then
  if nmsgDel > 0 then write_all('HDEL', MSG, msgDel, nmsgDel) else call('HDEL', META, '') end
end
call('HSET', META, session, ARGV[4], meta[3], reply, 'depth', int(depth), 'active', int(active))
if nentSet > 0 then write_all('HSET', ENT, entSet, nentSet) end
if nmsgSet > 0 then write_all('HSET', MSG, msgSet, nmsgSet) end
if hasAppends then write_all('HDEL', MSG, msgDel, nmsgDel) end
return reply
