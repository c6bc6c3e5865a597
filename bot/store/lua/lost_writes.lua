-- When may the store have lost writes that it had acknowledged, if that was not long ago? Needs history.lua.
-- KEYS: meta.  ARGV: unacknowledged_ms.  Returns milliseconds since the epoch; 0: it lacks nothing that we know of.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed, _, _, lacks = goes_on(1, now, ARGV[1])
return lacks and changed or 0
