-- members: who takes part; the dead are listed until they own nothing.
-- args     none
-- answer   now and the number of members; then, each after RS: incarnation owns and the member's record; then, each after
--          RS: a group and its leader's record
local function list_members()
  local all, owns = call('HGETALL', MEMBER), call('HGETALL', OWNS)
  local count, list = {}, { nowS .. FS .. int(#all / 2) }
  for i = 1, #owns, 2 do count[owns[i]] = owns[i + 1] end
  for i = 1, #all, 2 do list[#list + 1] = all[i] .. FS .. (count[all[i]] or '0') .. FS .. all[i + 1] end
  local leaders = call('HGETALL', LEADER)
  for i = 1, #leaders, 2 do list[#list + 1] = leaders[i] .. FS .. leaders[i + 1] end
  return concat(list, RS)
end
