-- Give a dead letter another life: due now, its tries forgotten.
-- KEYS: due, outbox, tries, dead letters.  ARGV: slot, value
-- Returns 1 if it was there, else 0. A newer effect in the same slot wins.
if redis.call('HDEL', KEYS[4], ARGV[1]) == 0 then
  return 0
end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 1 then
  redis.call('HDEL', KEYS[3], ARGV[1])
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
end
return 1
