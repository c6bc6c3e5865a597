-- The store turned out to have lost what it had acknowledged: what was posted must be looked for.  KEYS: meta
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'changed', now, 'look', now)
return now
