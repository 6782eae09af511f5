-- Whether the caller is the member that it says it is (core/log/identity.ts).

local function unknown_of(its, incarnation, token)
  if generation == nil or generation ~= its then return 'LOST' end
  if incarnation + 0 > (hget(META, 'incarnation') or 0) + 0 then return 'UNKNOWN' end
  local m = member_of(incarnation)
  local holder = m and m[4] or hget(META, 't' .. incarnation)
  if holder and holder ~= token then return 'UNKNOWN' end
  return nil
end

local function stranger_of(its, incarnation, token)
  local unknown = unknown_of(its, incarnation, token)
  if unknown then return unknown end
  local m = member_of(incarnation)
  if not m or m[9] == '1' then return 'FENCED' end
  return nil
end

-- The counters that never go down: incarnation fence epoch letter.
local function counters()
  return (hget(META, 'incarnation') or '0') .. FS .. int(fence) .. FS .. (hget(META, 'epoch') or '0') .. FS .. int(letter)
end
