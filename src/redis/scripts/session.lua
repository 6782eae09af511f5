-- Applies a batch only if its number is the session's next one. Otherwise returns the known answer (core/log/apply.ts).
--
-- ARGV    3 generation  4 number  5 kinds: one character per operation  6 depthMax of kinds a b c
--         7 number of entities  8.. entities: one per operation, then one per send; then the operations' arguments, in order
-- answer  A and the operations' answers, joined by RS | F and its last number, if that is kept: fenced | U unknown | S stale |
--         G and the last number: gap | L lost
local kinds, count = ARGV[5], #ARGV[5]
local KEYS_AT, ARGS_AT = 7, 8 + ARGV[7]
if generation == nil or generation ~= ARGV[3] then return 'L' end
if last == nil then
  -- The incarnation was evicted or has left, or the store never gave it to the holder of this token (core/log/identity.ts).
  local known, record = call('HMGET', META, 'incarnation', 't' .. ME), call('HGET', BASE .. 'member', ME)
  local holder, lastBatch, dead = NONE, '', '1'
  if known[2] and known[2] ~= NONE then holder, lastBatch = match(known[2], '^([^\31]*)\31?%d*\31?(%d*)$') end
  if record and record ~= NONE then
    holder, dead = match(record, '^[^\31]*\31[^\31]*\31[^\31]*\31([^\31]*)\31[^\31]*\31[^\31]*\31[^\31]*\31[^\31]*\31([^\31]*)')
  end
  local isIssued = known[1] ~= NONE and ME + 0 <= known[1] + 0 and (holder == NONE or holder == sub(ARGV[2], #ME + 2))
  -- A live member always has a session: without one, its field was lost.
  return isIssued and dead == '1' and 'F' .. lastBatch or 'U'
end
local number, applied = ARGV[4] + 0, last + 0
if number > applied + 1 then return 'G' .. last end
-- The field that keeps the answer for resends. Two are kept: those of the last two batches.
local KEPT_AS = session .. ':' .. format('%.0f', number % 2)
if number <= applied then
  if number < 1 or number < applied - 1 then return 'S' end
  local answer = call('HGET', META, KEPT_AS)
  return answer ~= NONE and answer or 'U'
end
