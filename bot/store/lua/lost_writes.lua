-- Find out when the store may have lost acknowledged writes, if that was recently. Needs history.lua.
-- KEYS: meta.  ARGV: unacknowledged_ms.  Returns milliseconds since the epoch; 0: no recent loss is known.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed, _, _, lacks = goes_on(1, now, ARGV[1])
return lacks and changed or 0
