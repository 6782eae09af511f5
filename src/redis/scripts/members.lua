-- members: who takes part; the dead are listed until they own nothing.
-- args     none
-- answer   now; then, each after RS: incarnation owns and the member's record
local function list_members()
  local all, owns = call('HGETALL', MEMBER), call('HGETALL', OWNS)
  local count, list = {}, { nowS }
  for i = 1, #owns, 2 do count[owns[i]] = owns[i + 1] end
  for i = 1, #all, 2 do list[#list + 1] = all[i] .. FS .. (count[all[i]] or '0') .. FS .. all[i + 1] end
  return concat(list, RS)
end
