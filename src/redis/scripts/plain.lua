-- The commonest steps, on short rows and without taking them apart: each does the same as append.lua and finish.lua, or
-- nothing at all and answers nil.
local contractOf = {}
local MINE = ME .. ','

-- The record of this incarnation's contract for a type, or false.
local function contract_text(incarnation, type)
  local field = incarnation .. FS .. type
  local text = contractOf[field]
  if text == nil then
    text = call('HGET', CONTRACT, field)
    if text == NONE or not text then text = false end
    contractOf[field] = text
  end
  return text
end

-- Whether this incarnation handles the message `name` of this entity.
local function declares(key, name)
  local text = contract_text(ME, sub(key, 1, find(key, ':', 1, true) - 1))
  if not text then return false end
  local names = match(text, '^%d+\31[^\31]*(\31.*)$')
  return find(names, FS .. name .. FS, 1, true) ~= nil
end

local lastType, lastName

-- The same for a message record, which starts with the name. Most often it is the type and name of the message before.
local function declares_record(key, record)
  if lastType and find(key, lastType, 1, true) == 1 and find(record, lastName, 1, true) == 1 then return true end
  local name = sub(record, 1, find(record, FS, 1, true) - 1)
  if not declares(key, name) then return false end
  lastType, lastName = sub(key, 1, find(key, ':', 1, true)), name .. FS
  return true
end

-- Kinds a and b, for an entity that is busy, or idle and owned by this incarnation, to be begun.
local function append_plain(key, begin, body, depthMax)
  local row = rowOf[key]
  if not row or (depthMaxTotal > 0 and depth >= depthMaxTotal) then return nil end
  local owner, running, mark, tail = match(row, '^(%d+,%d+,)(%d+)([r+]?)(%d*)$')
  local s, answer
  if mark == '' then
    if not begin or find(owner, MINE, 1, true) ~= 1 then return nil end
    if (workersMax > 0 and active >= workersMax) or not declares_record(key, body) then return nil end
    active = active + 1
    s = int(running + 1)
    row, answer = owner .. s .. 'r', s
  elseif mark then
    if mark == 'r' then tail = running end
    local live = tail - running + 1
    if depthMax ~= '0' and live >= depthMax + 0 then return nil end
    s = int(tail + 1)
    row, answer = owner .. running .. '+' .. s, s .. FS .. int(live + 1) .. FS .. match(owner, '^%d+')
  else
    return nil
  end
  depth = depth + 1
  rowOf[key] = row
  entSet[nentSet + 1], entSet[nentSet + 2] = key, row
  nentSet = nentSet + 2
  msgSet[nmsgSet + 1], msgSet[nmsgSet + 2] = key .. RS .. s, body .. STAMP
  nmsgSet = nmsgSet + 2
  return answer
end

local function put_row(key, row)
  rowOf[key] = row
  entSet[nentSet + 1], entSet[nentSet + 2] = key, row
  nentSet = nentSet + 2
end

-- The head's record after its name, in its first attempt, with nothing to keep.
local PLAIN = '1' .. FS .. '0' .. FS .. '0' .. FS
local PLAIN_FOR_NOBODY, PLAIN_FOR_ME = PLAIN .. '0' .. FS, PLAIN .. ME .. FS

-- Kind f. record: of the next message, if it was read.
local function finish_plain(key, at, record)
  local row, own = rowOf[key], ARGV[at]
  if row == own .. 'r' then
    depth, active = depth - 1, active - 1
    nmsgDel = nmsgDel + 1
    msgDel[nmsgDel] = key .. RS .. ARGV[at + 1]
    put_row(key, own)
    return ''
  end
  local have = ARGV[at + 2]
  if not row or not record or have == '-1' then return nil end
  local before, tail = match(row, '^(.*)%+(%d+)$')
  if before ~= own or not declares_record(key, record) then return nil end
  if find(record, PLAIN_FOR_NOBODY, #lastName + 1, true) ~= #lastName + 1 then
    if find(record, PLAIN_FOR_ME, #lastName + 1, true) ~= #lastName + 1 then return nil end
  end
  local s = ARGV[at + 1]
  local head = int(s + 1)
  depth = depth - 1
  nmsgDel = nmsgDel + 1
  msgDel[nmsgDel] = key .. RS .. s
  put_row(key, sub(own, 1, -1 - #s) .. head .. (head == tail and 'r' or '+' .. tail))
  if head == have then return head .. FS .. '1' end
  return head .. FS .. '1' .. FS .. record
end
