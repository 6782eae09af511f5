-- Checks that the caller is the member that it claims to be, and that the store still holds what it acknowledged to the caller
-- (core/log/identity.ts).
-- META t<incarnation>: the token of the join; once the incarnation has ended, also its last heartbeat and its last batch.

-- Returns the token of the join that got this incarnation, its last heartbeat and its last batch; nil for each that is not kept.
local function join_of(incarnation)
  local m = member_of(incarnation)
  if m and m[9] ~= '1' then return m[4], m[7], hget(META, 's' .. incarnation .. '.' .. m[4]) end
  local kept = hget(META, 't' .. incarnation)
  if not kept then return m and m[4] end
  local t = split(kept)
  return t[1], t[2], t[3]
end

-- Returns LOST, UNKNOWN or nil. heartbeat, batch: the last ones that were acknowledged to the caller.
local function unknown_of(its, incarnation, token, heartbeat, batch)
  if generation == nil or generation ~= its then return 'LOST' end
  if incarnation + 0 > (hget(META, 'incarnation') or 0) + 0 then return 'UNKNOWN' end
  local holder, lastHeartbeat, lastBatch = join_of(incarnation)
  if holder and holder ~= token then return 'UNKNOWN' end
  if lastHeartbeat and lastHeartbeat + 0 < (heartbeat or 0) + 0 then return 'UNKNOWN' end
  if lastBatch and lastBatch + 0 < (batch or 0) + 0 then return 'UNKNOWN' end
  return nil
end

local function stranger_of(its, incarnation, token, heartbeat, batch)
  local unknown = unknown_of(its, incarnation, token, heartbeat, batch)
  if unknown then return unknown end
  local m = member_of(incarnation)
  if not m or m[9] == '1' then return 'FENCED' end
  return nil
end

-- Returns the counters that never decrease: incarnation fence epoch `letter`.
local function counters()
  return (hget(META, 'incarnation') or '0') .. FS .. int(fence) .. FS .. (hget(META, 'epoch') or '0') .. FS .. int(letter)
end
