-- join: opens the session of a new incarnation. The same token again gets the same answer.
-- args     serverId group address token schema generation workersMax leaseTtl hold entryTtl resultTtl depthMax leaderTtl
--          leaderDebounce types (joined by ','); generation, incarnation, token, last heartbeat and last batch of the joiner's
--          former incarnation ('' without one); number of contracts, and per contract: type, record; then per published schema:
--          type, text
-- answer   incarnation generation now leaseUntil counters
-- refuses  SCHEMA(version) CLOSED LOST UNKNOWN DUPLICATE_SERVER_ID(incarnation)

-- Returns the fields of every live member, by incarnation, and the sum of the worker limits of those that handle something (0 if
-- one of them has no limit).
local function live_members()
  local all, list, sum = call('HGETALL', MEMBER), {}, 0
  local bounded = true
  for i = 1, #all, 2 do
    local m = split(all[i + 1])
    if m[9] ~= '1' then
      list[all[i]] = m
      if m[10] ~= '' then
        if m[6] == '0' then bounded = false end
        sum = sum + m[6]
      end
    end
  end
  return list, bounded and sum or 0
end

local function recount_workers()
  local _, sum = live_members()
  call('HSET', META, 'workersMax', int(sum))
end

-- Returns whether any data of an earlier store is left.
local function holds_anything()
  for _, key in ipairs({ ENT, MSG, KEPT, DLQ, MEMBER, LEADER }) do
    if call('HLEN', key) > 0 then return true end
  end
  return false
end

local JOINS_KEPT = 1024
-- The generation of a closed store.
local CLOSED = 'closed'

local function join()
  local schema = hget(META, 'schema')
  if schema and schema ~= ARGV[8] then return refuse('SCHEMA', schema) end
  if generation == CLOSED then return refuse('CLOSED') end
  if generation == DAMAGED or (generation and not (schema and hget(META, 'incarnation'))) then return refuse('LOST') end
  -- A new store starts its counters at 0. Data that is left has used higher numbers.
  if not generation and holds_anything() then return refuse('LOST') end
  local unknown = ARGV[19] ~= '' and unknown_of(ARGV[19], ARGV[20], ARGV[21], ARGV[22], ARGV[23])
  if unknown then return refuse(unknown) end
  for incarnation, m in pairs((live_members())) do
    if m[1] == ARGV[4] then
      if m[4] ~= ARGV[7] then return refuse('DUPLICATE_SERVER_ID', incarnation) end
      return incarnation .. FS .. generation .. FS .. nowS .. FS .. m[8] .. FS .. counters()
    end
  end
  local bad = open_writes()
  if bad then return bad end
  local its = generation or ARGV[9]
  if not generation then
    call('HSET', META, 'generation', its, 'schema', ARGV[8], 'seq', '0', 'fence', '0', 'letter', '0', 'depth', '0', 'active', '0')
  end
  local incarnation = int((hget(META, 'incarnation') or 0) + 1)
  local leaseUntil = int(now + ARGV[11])
  call('HSET', META, 'incarnation', incarnation, 's' .. incarnation .. '.' .. ARGV[7], '0', 't' .. incarnation, ARGV[7], 'leaseTtl', ARGV[11], 'hold', ARGV[12], 'entryTtl', ARGV[13],
    'resultTtl', ARGV[14], 'depthMax', ARGV[15], 'leaderTtl', ARGV[16], 'leaderDebounce', ARGV[17])
  call('HSET', MEMBER, incarnation, concat({ ARGV[4], ARGV[5], ARGV[6], ARGV[7], nowS, ARGV[10], '0', leaseUntil, '0', ARGV[18], '1', '' }, FS))
  call('HDEL', META, 't' .. int(incarnation - JOINS_KEPT))
  local last = 24 + 2 * ARGV[24]
  for i = 25, last, 2 do call('HSET', CONTRACT, incarnation .. FS .. ARGV[i], ARGV[i + 1]) end
  for i = last + 1, #ARGV, 2 do call('HSET', SCHEMA, incarnation .. FS .. ARGV[i], ARGV[i + 1]) end
  recount_workers()
  return incarnation .. FS .. its .. FS .. nowS .. FS .. leaseUntil .. FS .. counters()
end
