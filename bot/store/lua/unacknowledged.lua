-- Record that the store has lost acknowledged writes, so that posted triggers are looked for.  KEYS: meta
-- ARGV: for at least how many milliseconds (0: as after a fail-over, see history.lua)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'changed', now, 'look', now)
if tonumber(ARGV[1]) > 0 then
  redis.call('HSET', KEYS[1], 'unacknowledged_until', now + ARGV[1])
end
return now
