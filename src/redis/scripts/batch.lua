-- Applies one numbered batch of a session, once and in order (core/log/apply.ts).
--
-- ARGV    2 generation  3 incarnation  4 number  5 kinds: one letter an operation  6 depthMax of kinds a b c
--         7 number of entities  8.. entities: one an operation, then one a send; then the operations' arguments, in order
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

MINE = ME .. ','
PLAIN_FOR_ME = PLAIN .. ME .. FS

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
local BEGIN = { b = '0', c = '1', B = '0', C = '1' }
local kindOf, hasAppends = {}, find(kinds, '[abcABC]') ~= nil
for i = 1, count do kindOf[i] = sub(kinds, i, i) end

local wanted, wantedBy, nwanted = {}, {}, 0
local function want(field, by)
  nwanted = nwanted + 1
  wanted[nwanted], wantedBy[nwanted] = field, by
end

-- The message that a finish ends, if it may have to be kept, and the one that it or a begin may begin.
local function want_messages(key, running)
  local e = entity_of(key)
  if not e then return end
  if running and e.running ~= '0' then want(key .. RS .. e.running, false) end
  if e.first ~= e.tail and not e.headFor then
    e.headFor, e.headSeq = e.first, int(e.first + 1)
    want(key .. RS .. e.headSeq, e)
  end
end

local ids, heads = {}, {}
local at = ARGS_AT
for i = 1, count do
  local kind = kindOf[i]
  if kind == 'f' then
    local row = rowOf[ARGV[KEYS_AT + i]]
    -- 114: r, nothing is pending
    if not row or byte(row, -1) ~= 114 then
      local key = ARGV[KEYS_AT + i]
      if row and find(row, '+', 1, true) then
        want(key .. RS .. int(ARGV[at + 1] + 1), i)
      else
        want_messages(key, true)
      end
    end
    at = at + 4
  elseif kind == 'b' or kind == 'a' or kind == 'c' then
    at = at + 1
  else
    local key = ARGV[KEYS_AT + i]
    if kind == 'F' then
      want_messages(key, true)
      at = at + 4 * ARGV[at + 7]
    elseif kind == 'g' then
      want_messages(key, false)
    elseif (kind == 'A' or kind == 'B' or kind == 'C') and ARGV[at + 2] ~= '' then
      ids[#ids + 1] = key .. RS .. ARGV[at + 2]
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
      messages[wanted[i]] = row
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
  local rows = hmget(KEPT, ids, 1, #ids)
  for i = 1, #ids do kept[ids[i]] = rows[i] ~= NONE and rows[i] or false end
end

-- ---- decide
local depthMaxOfBatch = ARGV[6]
local sends = KEYS_AT + count

-- Any operation but finish and the appends without a caller's id.
local function other(kind, key, at)
  local a, b, c, d, e = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if kind == 'g' then return begin(key, a, b) end
  if kind == 'k' then return claim(key) end
  if kind == 'l' then return release(key, a, b) end
  if kind == 'r' then return retry(key, a, b, c, d, e) end
  if kind == 'w' then return withdraw(key, a, b) end
  if kind == 't' then return takeover(key, a) end
  if kind == 'y' then return late(key, a, b, c, d, e) end
  if kind == 'x' then return expire(hasAppends, a + 0) end
  if c == '' then c, d = nil, nil end
  return append(key, BEGIN[kind], a, b, c, d)
end

local answers = {}
at = ARGS_AT
for i = 1, count do
  local kind, key = kindOf[i], ARGV[KEYS_AT + i]
  local answer, bad
  if kind == 'f' then
    answer = finish_plain(key, at, heads[i]) or finish(key, at, false, sends)
    at = at + 4
  elseif kind == 'b' or kind == 'a' then
    local begin = BEGIN[kind]
    answer = append_plain(key, begin, ARGV[at], depthMaxOfBatch) or append(key, begin, ARGV[at], depthMaxOfBatch, nil, nil)
    at = at + 1
  elseif kind == 'c' then
    answer = append(key, '1', ARGV[at], depthMaxOfBatch, nil, nil)
    at = at + 1
  elseif kind == 'F' then
    answer = finish(key, at, true, sends)
    local n = ARGV[at + 7] + 0
    sends, at = sends + n, at + 8 + 4 * n
  else
    answer, bad = other(kind, key, at)
    if bad then return bad end
    at = at + ARITY[kind]
  end
  answers[i] = answer
end

local reply = 'A' .. concat(answers, RS)
return flush(hasAppends, { session, ARGV[4], session .. ':' .. int(number % 2), reply }) or reply
