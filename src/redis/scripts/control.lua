-- Runs one operation outside of sessions. Read operations write nothing.
--
-- ARGV    3 operation  4.. its arguments
-- answer  the operation's answer, or a refusal
local op, a, b, c, d, e = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if op == 'heartbeat' then return heartbeat(a, b, c, d, e) end
if op == 'join' then return join() end
if op == 'leave' then return leave(a, b, c, d, e) end
if op == 'evict' then return evict(a, b, c) end
if op == 'report' then return report(a, b, c, d, e) end
if op == 'closeStore' then return close_store(a) end
if op == 'lead' then return lead(a, b, c) end
if op == 'replay' then return replay(a, b) end
if op == 'purge' then return purge(a, b, c) end
if op == 'members' then return list_members(a) end
if op == 'ready' then return list_ready(a, b) end
if op == 'owned' then return list_owned(a, b) end
if op == 'lookup' then return lookup(a, b, c, d) end
if op == 'letters' then return list_letters(a, b, c, d, e, ARGV[9], ARGV[10]) end
if op == 'schemas' then return show_schemas(a, b) end
if op == 'entity' then return show_entity(a, b) end
if op == 'history' then return list_history(a, b) end
if op == 'survey' then return survey(a) end
if op == 'audit' then return audit(a, b, c) end
return list_counts()
