-- members: all members; a dead member is listed until it owns nothing.
-- args     the incarnation above which members are returned with their contracts, '' for none
-- answer   now, the number of members, the number of leaders, the generation; then, each after RS: incarnation, owns and the
--          member's record; group and its leader's record; incarnation, type and contract
local function list_members(above)
  local all, owns = call('HGETALL', MEMBER), call('HGETALL', OWNS)
  local leaders, count = call('HGETALL', LEADER), {}
  local list, declared = { nowS .. FS .. int(#all / 2) .. FS .. int(#leaders / 2) .. FS .. (generation or '') }, {}
  for i = 1, #owns, 2 do count[owns[i]] = owns[i + 1] end
  for i = 1, #all, 2 do
    list[#list + 1] = all[i] .. FS .. (count[all[i]] or '0') .. FS .. all[i + 1]
    if above ~= '' and all[i] + 0 > above + 0 then
      for type in gmatch(split(all[i + 1])[10], '[^,]+') do
        local key = all[i] .. FS .. type
        local contract = hget(CONTRACT, key)
        if contract then declared[#declared + 1] = key .. FS .. contract end
      end
    end
  end
  for i = 1, #leaders, 2 do list[#list + 1] = leaders[i] .. FS .. leaders[i + 1] end
  for i = 1, #declared do list[#list + 1] = declared[i] end
  return concat(list, RS)
end

-- schemas: what a member published about the messages of an entity type.
-- args     incarnation type
-- answer   the text
-- refuses  ABSENT
local function show_schemas(incarnation, type)
  return hget(SCHEMA, incarnation .. FS .. type) or refuse('ABSENT')
end
