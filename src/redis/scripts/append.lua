-- append: accepts a message into its entity's log, and begins it at once if that is requested and possible.
-- args     body (a message record up to its payload); kinds A B C: then depthMax, id and digest ('' unless the caller gave
--          the id); kinds a b c use the batch's depthMax and have no id of the caller
--          a A: do not begin; b B: begin; c C: begin, and the message has to be kept after its end
-- answer   sequence, if begun | sequence depth owner | sequence depth owner state result error, if the id is known |
--          sequence depth owner state, if the id is known and the reply has no room for its result
-- refuses  QUEUE_DEPTH_EXCEEDED(limit) WORKER_LIMIT_EXCEEDED(limit) ID_REUSED

-- Returns a refusal if one more message would exceed a limit, else nil.
local function over_limit(e, depthMax)
  if depthMaxTotal > 0 and depth + 1 > depthMaxTotal then return refuse('QUEUE_DEPTH_EXCEEDED', int(depthMaxTotal)) end
  local live = e and live_count(e) or 0
  if depthMax ~= '0' and live >= depthMax + 0 then return refuse('QUEUE_DEPTH_EXCEEDED', depthMax) end
  if live == 0 and workersMax > 0 and active >= workersMax then
    return refuse('WORKER_LIMIT_EXCEEDED', int(workersMax))
  end
  return nil
end

-- Adds the message at the tail; returns its sequence.
local function log(e, body, id, digest)
  if e.running == '0' and e.first == e.tail then active = active + 1 end
  depth = depth + 1
  local s = int(e.tail + 1)
  e.tail = s
  set_message(e.key, s, body .. STAMP)
  if id then set_kept(e.key .. RS .. id, s, digest, 'live', '0', '', '') end
  return s
end

-- Limit and count of bytes for results and errors of known messages in this reply (RECALLED_BYTES_MAX of core/log/operations.ts).
local RECALLED_MAX, recalled = 65536, 0

-- begin: nil for an append that does not begin; else whether the message has to be kept after its end ('1' or '0').
local function append(key, begin, body, depthMax, id, digest)
  local e = entity_of(key)
  if id then
    local known = kept_of(key .. RS .. id)
    if known then
      local s, before, state, result, why = match(known, '^(%d+)\31([^\31]*)\31(%a+)\31%d+\31([^\31]*)\31(.*)$')
      if before ~= digest then return refuse('ID_REUSED') end
      local live = e and live_count(e) or 0
      local answer = s .. FS .. int(live) .. FS .. (e and e.owner or '0') .. FS .. state
      if recalled >= RECALLED_MAX then return answer end
      recalled = recalled + #result + #why
      return answer .. FS .. result .. FS .. why
    end
  end
  local over = over_limit(e, depthMax)
  if over then return over end
  e = e or entity_or_new(key)
  local idle = e.running == '0' and e.first == e.tail
  local s = log(e, body, id, digest)
  if idle and begin and e.owner == ME and not is_held(e) and declares(key, sub(body, 1, find(body, FS, 1, true) - 1)) then
    e.running, e.attempt, e.keep, e.first = s, '1', begin, s
    settle(e)
    return s
  end
  settle(e)
  return s .. FS .. int(live_count(e)) .. FS .. e.owner
end
