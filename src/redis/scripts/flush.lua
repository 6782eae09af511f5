-- Writes what was collected, each kind with one command. (plain.lua does the same for its batches.)
--
-- The first write decides for all: if Redis accepts one write of a script, it accepts all later ones, out of memory or not.
-- So a script that makes the log grow (appends, or finishes with larger sends) begins with a write that Redis refuses without
-- memory: then nothing was applied, for certain. Any other script begins with a write that Redis never refuses, since ending
-- messages frees memory. No write can fail after the first: the type of every key is checked before.
local written = false

local function write(command, key, list)
  local n = #list
  for i = 1, n, 4000 do
    call(command, key, unpack(list, i, i + 3999 < n and i + 3999 or n))
  end
end

-- Updates expiry: an entity that now exists for another reason is removed, or the next expire would look at all of them.
local function collect_expiry(e)
  local expires = not e.gone and e.owner == '0' and e.running == '0' and e.first == e.tail and e.hold
  if expires == e.expires then return end
  if expires then push(expirySet, expires, e.key) else expiryDel[#expiryDel + 1] = e.key end
  e.expires = expires
end

-- Fills entSet; returns the entities to delete, and the changes of the ready set.
local function collect_entities()
  local del, readySet, readyDel = {}, {}, {}
  for i = 1, ndirty do
    local e = dirty[i]
    e.dirty = false
    if e.gone then
      del[#del + 1] = e.key
    else
      push(entSet, e.key, row_of(e))
    end
    if not e.ready then
      if e.stored then readyDel[#readyDel + 1] = e.key end
      e.stored = false
    elseif e.ready ~= true then
      push(readySet, int(e.ready), e.key)
      e.ready, e.stored = true, true
    end
    collect_expiry(e)
  end
  dirty, ndirty = {}, 0
  return del, readySet, readyDel
end

-- Returns an error reply for the first key of a wrong type, or nil. `all`: also checks keys that are not written now.
local function foreign(all, readySet, readyDel)
  local bad = nil
  if all or #msgSet + #msgDel > 0 then bad = check_type(MSG, 'hash') end
  if all or #readySet + #readyDel > 0 then bad = bad or check_type(READY, 'zset') end
  if all or next(ownsDelta) then bad = bad or check_type(OWNS, 'hash') end
  if all or #keptSet > 0 then bad = bad or check_type(KEPT, 'hash') end
  if all or #expirySet + #expiryDel > 0 then bad = bad or check_type(EXPIRY, 'zset') end
  if all or #memberDel > 0 then bad = bad or check_type(MEMBER, 'hash') or check_type(CONTRACT, 'hash') or check_type(SCHEMA, 'hash') end
  if all or #dlqSet > 0 then bad = bad or check_type(DLQ, 'hash') end
  if all or #dlqIndexSet > 0 then bad = bad or check_type(DLQINDEX, 'zset') or check_type(DLQOF, 'hash') end
  return bad
end

local function reset()
  entSet, msgSet, msgDel = {}, {}, {}
  keptSet, expirySet, expiryDel, dlqSet, dlqIndexSet, dlqOfSet = {}, {}, {}, {}, {}, {}
  memberDel, contractDel, ownsDelta = {}, {}, {}
end

-- hasAppends: this script may make the log grow; meta: further fields of meta; more: there will be another flush.
-- Returns an error reply, with nothing written, or nil.
local function flush(hasAppends, meta, more)
  local del, readySet, readyDel = collect_entities()
  if not written then
    local bad = foreign(more, readySet, readyDel)
    if bad then return bad end
    if not hasAppends then call('HDEL', META, '') end
    written = true
  end
  push(meta, 'seq', int(seq))
  push(meta, 'fence', int(fence))
  push(meta, 'depth', int(depth))
  push(meta, 'active', int(active))
  if #dlqIndexSet > 0 then push(meta, 'letter', int(letter)) end
  write('HSET', META, meta)
  write('HSET', ENT, entSet)
  write('HDEL', ENT, del)
  write('HSET', MSG, msgSet)
  write('HDEL', MSG, msgDel)
  write('ZADD', READY, readySet)
  write('ZREM', READY, readyDel)
  write('HSET', KEPT, keptSet)
  write('ZREM', EXPIRY, expiryDel)
  write('ZADD', EXPIRY, expirySet)
  write('HSET', DLQ, dlqSet)
  write('ZADD', DLQINDEX, dlqIndexSet)
  write('HSET', DLQOF, dlqOfSet)
  for incarnation, delta in pairs(ownsDelta) do call('HINCRBY', OWNS, incarnation, int(delta)) end
  write('HDEL', MEMBER, memberDel)
  write('HDEL', OWNS, memberDel)
  write('HDEL', CONTRACT, contractDel)
  write('HDEL', SCHEMA, contractDel)
  if more then reset() end
  return nil
end
