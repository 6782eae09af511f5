-- counts: the partition's counters.
-- args     none
-- answer   depth active entities dead-letters kept, and the number of the last dead letter that was added, 0 for none
local function list_counts()
  return int(depth) .. FS .. int(active) .. FS .. int(call('HLEN', ENT)) .. FS .. int(call('HLEN', DLQ)) .. FS .. int(call('HLEN', KEPT)) .. FS .. int(letter)
end
