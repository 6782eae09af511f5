-- Applies one numbered batch of a session, once and in order (core/log/apply.ts).
--
-- ARGV    2 generation  3 incarnation  4 number  5 kinds: one letter an operation  6 number of entities
--         7.. entities: one an operation, then one a send; then the arguments of the operations, in their order
-- answer  A and the operations' answers, joined by RS | F fenced | S stale | G and the last number: gap | L lost
ME = ARGV[3]
local kinds, count = ARGV[5], #ARGV[5]
local session = 's' .. ME
local generation, last = read_meta(session)
if generation == nil or generation ~= ARGV[2] then return 'L' end
if last == nil then return 'F' end
local number, applied = ARGV[4] + 0, last + 0
if number > applied + 1 then return 'G' .. last end
if number <= applied then
  if number < 1 or number < applied - 1 then return 'S' end
  return call('HGET', META, session .. ':' .. int(number % 2))
end

-- ---- read what the operations will probably need, each kind in one call
local KEYS_AT, ARGS_AT = 6, 7 + ARGV[6]
if ARGS_AT > 7 then
  local rows = hmget(ENT, ARGV, 7, ARGS_AT - 1)
  for i = 1, ARGS_AT - 7 do
    local key = ARGV[KEYS_AT + i]
    if not entities[key] then parse_entity(key, rows[i]) end
  end
end

-- How many arguments a kind has; of F without its sends.
local ARITY = { a = 2, b = 2, c = 2, A = 4, B = 4, k = 0, g = 2, f = 5, F = 8, r = 5, w = 2, l = 2, t = 1, y = 5, x = 1 }
local hasAppends = find(kinds, '[abcAB]') ~= nil

local wanted, wantedBy, nwanted = {}, {}, 0
local ids = {}
local at = ARGS_AT
for i = 1, count do
  local kind = sub(kinds, i, i)
  local e = entities[ARGV[KEYS_AT + i]]
  if kind == 'f' or kind == 'F' or kind == 'g' then
    if not e.gone and e.first ~= e.tail and not e.headFor then
      e.headFor, e.headSeq = e.first, int(e.first + 1)
      nwanted = nwanted + 1
      wanted[nwanted], wantedBy[nwanted] = e.key .. RS .. e.headSeq, e
    end
    if kind ~= 'g' and not e.gone and e.running ~= '0' and (kind == 'F' or e.keep == '1') then
      nwanted = nwanted + 1
      wanted[nwanted], wantedBy[nwanted] = e.key .. RS .. e.running, false
    end
    if kind == 'F' then at = at + 4 * ARGV[at + 7] end
  elseif kind == 'A' or kind == 'B' then
    ids[#ids + 1] = e.key .. RS .. ARGV[at + 2]
  end
  at = at + ARITY[kind]
end
if nwanted > 0 then
  local rows = hmget(MSG, wanted, 1, nwanted)
  for i = 1, nwanted do
    local e, row = wantedBy[i], rows[i]
    if not e then
      messages[wanted[i]] = row ~= NONE and row or false
    elseif row == NONE then
      -- A hole: the head is further on.
      e.headFor = nil
    else
      e.headRecord = row
    end
  end
end
if #ids > 0 then
  local rows = hmget(KEPT, ids, 1, #ids)
  for i = 1, #ids do kept[ids[i]] = rows[i] ~= NONE and rows[i] or false end
end

-- ---- decide
local answers = {}
local sends = KEYS_AT + count
at = ARGS_AT
for i = 1, count do
  local kind, key = sub(kinds, i, i), ARGV[KEYS_AT + i]
  local answer, bad
  if kind == 'f' then
    answer = finish(key, at, false, sends)
  elseif kind == 'b' or kind == 'a' or kind == 'c' then
    answer = append(key, kind, ARGV[at], ARGV[at + 1], nil, nil)
  elseif kind == 'g' then
    answer = begin(key, ARGV[at], ARGV[at + 1])
  elseif kind == 'k' then
    answer = claim(key)
  elseif kind == 'A' or kind == 'B' then
    answer = append(key, kind, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  elseif kind == 'F' then
    answer = finish(key, at, true, sends)
    local n = ARGV[at + 7] + 0
    sends, at = sends + n, at + 4 * n
  elseif kind == 'l' then
    answer = release(key, ARGV[at], ARGV[at + 1])
  elseif kind == 'r' then
    answer = retry(key, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
  elseif kind == 'w' then
    answer = withdraw(key, ARGV[at], ARGV[at + 1])
  elseif kind == 't' then
    answer = takeover(key, ARGV[at])
  elseif kind == 'y' then
    answer = late(key, ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
  else
    answer, bad = expire(hasAppends, ARGV[at] + 0)
    if bad then return bad end
  end
  answers[i] = answer
  at = at + ARITY[kind]
end

local reply = 'A' .. concat(answers, RS)
return flush(hasAppends, { session, ARGV[4], session .. ':' .. int(number % 2), reply }) or reply
