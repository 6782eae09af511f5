-- Applies a batch that is not plain (core/log/apply.ts).

-- Number of arguments of each kind; of F and S without their sends.
local ARITY = { a = 1, b = 1, c = 1, A = 4, B = 4, C = 4, k = 0, g = 2, f = 4, F = 8, S = 8, r = 5, w = 2, l = 2, t = 1, y = 5, x = 1, h = 1 }
-- For appends that may begin their message: whether the message has to be kept after its end ('1' or '0').
local BEGINS = { b = '0', c = '1', B = '0', C = '1' }
local hasAppends = find(kinds, '[abcABCS]') ~= nil
local kindOf, at = {}, ARGS_AT
for i = 1, count do kindOf[i] = sub(kinds, i, i) end

-- ---- read what the operations will probably need, one call per key
if ARGS_AT > 8 then
  local rows = hmget(ENT, ARGV, 8, ARGS_AT - 1)
  for i = 1, ARGS_AT - 8 do rowOf[ARGV[KEYS_AT + i]] = rows[i] ~= NONE and rows[i] or false end
end
-- wanted: fields of msg; wantedBy: the entity whose head the message may be, or false for a running message.
local wanted, wantedBy, nwanted, ids = {}, {}, 0, {}
for i = 1, count do
  local kind, key = kindOf[i], ARGV[KEYS_AT + i]
  local isFull = kind == 'F' or kind == 'S'
  if kind == 'f' or isFull or kind == 'g' then
    local e = entity_of(key)
    if e and kind ~= 'g' and e.running ~= '0' and (e.keep == '1' or isFull) then
      nwanted = nwanted + 1
      wanted[nwanted], wantedBy[nwanted] = key .. RS .. e.running, false
    end
    if e and e.first ~= e.tail and not e.headFor then
      e.headFor, e.headSeq = e.first, int(e.first + 1)
      nwanted = nwanted + 1
      wanted[nwanted], wantedBy[nwanted] = key .. RS .. e.headSeq, e
    end
    if isFull then at = at + 4 * ARGV[at + 7] end
  elseif (kind == 'A' or kind == 'B' or kind == 'C') and ARGV[at + 2] ~= '' then
    ids[#ids + 1] = key .. RS .. ARGV[at + 2]
  end
  at = at + ARITY[kind]
end
if nwanted > 0 then
  local records = hmget(MSG, wanted, 1, nwanted)
  for i = 1, nwanted do
    local record, by = records[i] ~= NONE and records[i] or false, wantedBy[i]
    if not by then
      messages[wanted[i]] = record
    elseif record then
      by.headRecord = record
    else
      -- The first pending sequence is a hole: the head lies behind it.
      by.headFor = false
    end
  end
end
if #ids > 0 then
  local rows = hmget(KEPT, ids, 1, #ids)
  for i = 1, #ids do kept[ids[i]] = rows[i] ~= NONE and rows[i] or false end
end

-- ---- decide
local sends, answers = KEYS_AT + count, {}
at = ARGS_AT
for i = 1, count do
  local kind, key, answer, bad = kindOf[i], ARGV[KEYS_AT + i], nil, nil
  local a, b, c, d, e = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if kind == 'f' then answer = finish(key, at, false, sends)
  elseif kind == 'a' or kind == 'b' or kind == 'c' then answer = append(key, BEGINS[kind], a, ARGV[6], nil, nil)
  elseif kind == 'k' then answer = claim(key)
  elseif kind == 'A' or kind == 'B' or kind == 'C' then
    if c == '' then c, d = nil, nil end
    answer = append(key, BEGINS[kind], a, b, c, d)
  elseif kind == 'F' or kind == 'S' then
    answer = finish(key, at, true, sends)
    local n = ARGV[at + 7] + 0
    sends, at = sends + n, at + 4 * n
  elseif kind == 'g' then answer = begin(key, a, b)
  elseif kind == 'l' then answer = release(key, a, b)
  elseif kind == 'r' then answer = retry(key, a, b, c, d, e)
  elseif kind == 'w' then answer = withdraw(key, a, b)
  elseif kind == 't' then answer = takeover(key, a)
  elseif kind == 'y' then answer = late(key, a, b, c, d, e)
  elseif kind == 'h' then answer = shed(a)
  else
    answer, bad = expire(hasAppends, a + 0)
    if bad then return bad end
  end
  answers[i] = answer
  at = at + ARITY[kind]
end

local reply = 'A' .. concat(answers, RS)
return flush(hasAppends, { session, ARGV[4], KEPT_AS, reply }) or reply
