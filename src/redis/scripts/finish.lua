-- finish: ends the running message, appends the messages that its handler sent, and begins the head if requested.
-- args     owner,fence,sequence (this incarnation's), sequence, next (`have` of begin, -1: begin nothing), result
--          kind f: the first attempt, completed, without sends
--          kind F: then attempt, state (refused: failed, without a dead letter), error, number of sends, and per send: body,
--          depthMax, id, digest (id and digest '' unless the caller gave the id); the entities of the sends follow those of the
--          operations
--          kind S: as F, and its sends take more room than the message that ends: refused without memory
-- answer   per send: sequence owner; then the answer of begin, if the head was begun
-- refuses  FENCED NOT_RUNNING QUEUE_DEPTH_EXCEEDED(limit) WORKER_LIMIT_EXCEEDED(limit)

-- Returns a refusal of all sends, or nil. The finished message is counted as gone.
local function over_limit_of_sends(self, at, count, keys)
  if depthMaxTotal > 0 and depth - 1 + count > depthMaxTotal then
    return refuse('QUEUE_DEPTH_EXCEEDED', int(depthMaxTotal))
  end
  local added = {}
  local active = active
  if live_count(self) == 1 then active = active - 1 end
  for i = 1, count do
    local key, depthMax = ARGV[keys + i], ARGV[at + 4 * i - 3]
    local e = entity_of(key)
    local live = (e and live_count(e) or 0) - (key == self.key and 1 or 0) + (added[key] or 0)
    if depthMax ~= '0' and live >= depthMax + 0 then return refuse('QUEUE_DEPTH_EXCEEDED', depthMax) end
    if live == 0 and workersMax > 0 then
      if active >= workersMax then return refuse('WORKER_LIMIT_EXCEEDED', int(workersMax)) end
      active = active + 1
    end
    added[key] = (added[key] or 0) + 1
  end
  return nil
end

-- at: index in ARGV of the first send's arguments; keys: index of the entity before the first send's.
local function send_all(at, count, keys)
  local sent = {}
  for i = 1, count do
    local arg = at + 4 * i - 4
    local e = entity_or_new(ARGV[keys + i])
    local id = ARGV[arg + 2]
    if id == '' then id = nil end
    local s = log(e, ARGV[arg], id, ARGV[arg + 3])
    settle(e)
    push(sent, s, e.owner)
  end
  return sent
end

-- at: index in ARGV of the operation's arguments; full: kind F or S; keys: index of the entity before the first send's.
local function finish(key, at, full, keys)
  local s, have = ARGV[at + 1], ARGV[at + 2]
  local e = owned_by_me(key, match(ARGV[at], '^%d+,(%d+),'))
  if not e then return refuse('FENCED') end
  if e.running ~= s or s == '0' or e.attempt ~= (full and ARGV[at + 4] or '1') then return refuse('NOT_RUNNING') end
  local state, why, count = 'completed', '', 0
  if full then
    state, why, count = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7] + 0
    if count > 0 then
      local over = over_limit_of_sends(e, at + 8, count, keys)
      if over then return over end
    end
  end
  local keep, failed = e.keep == '1', state == 'failed'
  if state == 'refused' then state = 'failed' end
  local record = (keep or failed) and message_of(key, s) or nil
  e.running, e.attempt, e.keep = '0', '0', '0'
  finish_message(e, s, keep, record, state, ARGV[at + 3], why, ME)
  if failed then add_dead_letter(key, s, record, 'failed', why, ME) end
  local sent = count > 0 and send_all(at + 8, count, keys) or nil
  local answer = ''
  if have ~= '-1' and e.first ~= e.tail then
    local refusal, head, record = why_not_begin(e)
    if not refusal then answer = begin_head(e, head, record, have) end
  end
  settle(e)
  if sent then
    if answer ~= '' then sent[#sent + 1] = answer end
    return concat(sent, FS)
  end
  return answer
end
