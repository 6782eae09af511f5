-- counts: the partition's counters.
-- args     none
-- answer   depth active entities letters kept
local function list_counts()
  return int(depth) .. FS .. int(active) .. FS .. int(call('HLEN', ENT)) .. FS .. int(call('HLEN', DLQ)) .. FS .. int(call('HLEN', KEPT))
end
