-- Store the heartbeat of a process.  KEYS: heartbeats (sorted set: process by its last heartbeat, milliseconds).
-- ARGV: process, after how many milliseconds without a heartbeat a process is deleted.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
return now
