-- entity: one entity as the log holds it. Returns fewer pending messages where reading more would take long.
-- args     entity max
-- answer   owner fence hold pending running (1 or 0; 0 also if the running message is missing); then, each after RS: sequence and
--          record of the running message, and of the pending messages from the head on
-- refuses  ABSENT
local SHOWN_BYTES_MAX, STEPS_MAX = 524288, 1000

local function show_entity(key, max)
  local e = entity_of(key)
  if not e then return refuse('ABSENT') end
  local runs = e.running ~= '0' and message_of(key, e.running)
  local list = { e.owner .. FS .. e.fence .. FS .. e.hold .. FS .. int(pending_count(e)) .. FS .. (runs and '1' or '0') }
  if runs then list[2] = e.running .. FS .. runs end
  local from, to, bytes, shown = e.first + 1, e.tail + 0, 0, 0
  if to > from + STEPS_MAX then to = from + STEPS_MAX end
  while from <= to and shown < max + 0 and bytes < SHOWN_BYTES_MAX do
    local record = int(from) ~= e.running and message_of(key, int(from))
    if record then
      list[#list + 1] = int(from) .. FS .. record
      shown, bytes = shown + 1, bytes + #record
    end
    from = from + 1
  end
  return concat(list, RS)
end

-- Returns the cursor and the flat list of HSCAN, indexed from 1: ioredis-mock indexes a nested list from 0.
local function scan(key, cursor, count)
  local page = call('HSCAN', key, cursor, 'COUNT', count)
  local rows, list = page[2], {}
  local i = rows[0] and 0 or 1
  while rows[i] do
    push(list, rows[i], rows[i + 1])
    i = i + 2
  end
  return page[1], list
end

-- history: a page of what is kept of an entity's ended messages. Ends early where reading on would take long.
-- args     entity cursor
-- answer   cursor; then, each after RS: id sequence state expiresAt
local SCANS_MAX = 20

local function list_history(key, cursor)
  local list, prefix, bytes, scans = { cursor }, key .. RS, 0, 0
  repeat
    local next, rows = scan(KEPT, list[1], '10')
    for i = 1, #rows, 2 do
      bytes = bytes + #rows[i + 1]
      if sub(rows[i], 1, #prefix) == prefix then
        local s, state, expiresAt = match(rows[i + 1], '^(%d+)\31[^\31]*\31(%a+)\31(%d+)\31')
        if state ~= 'live' then list[#list + 1] = sub(rows[i], #prefix + 1) .. FS .. s .. FS .. state .. FS .. expiresAt end
      end
    end
    list[1], scans = next, scans + 1
  until next == '0' or scans == SCANS_MAX or bytes >= SHOWN_BYTES_MAX
  return concat(list, RS)
end

-- survey: counts by entity type, and the running messages, a page at a time. Pages follow HSCAN: a page may repeat an entity.
-- args     cursor
-- answer   cursor; then, each after RS: type entities running pending of each type; then, each after RS: '', entity and pending
--          of each entity with a running message
local function survey(cursor)
  local next, rows = scan(ENT, cursor, '500')
  local types, order, running = {}, {}, {}
  for i = 1, #rows, 2 do
    local e = parse_row(rows[i], rows[i + 1])
    local type, waiting = type_of(e.key), pending_count(e)
    local t = types[type]
    if not t then
      t = { 0, 0, 0 }
      types[type] = t
      order[#order + 1] = type
    end
    t[1], t[3] = t[1] + 1, t[3] + waiting
    if e.running ~= '0' then
      t[2] = t[2] + 1
      running[#running + 1] = FS .. e.key .. FS .. int(waiting)
    end
  end
  local list = { next }
  for i = 1, #order do
    local t = types[order[i]]
    list[#list + 1] = order[i] .. FS .. int(t[1]) .. FS .. int(t[2]) .. FS .. int(t[3])
  end
  for i = 1, #running do list[#list + 1] = running[i] end
  return concat(list, RS)
end
