-- A process says that it lives.  KEYS: heartbeats (sorted set: process by when it was last heard, milliseconds).
-- ARGV: process, milliseconds after which a process that is heard no more is forgotten.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return now
