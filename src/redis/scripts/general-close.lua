-- What a batch needs of the general part.
local BEGIN = { B = '0', C = '1' }

-- Any operation but finish and the appends without a caller's id.
local function other(kind, key, at, hasAppends)
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

-- What a finish or a begin of this entity will probably need: the field of the message that runs, unless `begins`; the field
-- of the head, and the entity that is to get its record (headRecord; headFor = false if there is none).
local function needs(key, begins)
  local e = entity_of(key)
  if not e then return nil end
  local runs, head
  if not begins and e.running ~= '0' then runs = key .. RS .. e.running end
  if e.first ~= e.tail and not e.headFor then
    e.headFor, e.headSeq = e.first, int(e.first + 1)
    head = key .. RS .. e.headSeq
  end
  return runs, head, e
end

return { append = append, finish = finish, other = other, needs = needs, flush = flush, messages = messages, kept = kept }
end
