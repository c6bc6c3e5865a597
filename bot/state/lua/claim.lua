-- Take effects that are due, each for one performer at a time; never more at once than the family's limit.
-- KEYS: due, held, outbox, tries.  ARGV: hold_ms, count, limit.
-- Returns {how many more are due, slot, tries, value, held until, ...}; a try counts from the claim on, so that one
-- that was cut off by a crash is known to have begun.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local room = math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[2]))
local out = {0}
if room <= 0 then
  return out
end
for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + 1, 'LIMIT', 0, room)) do
  local value = redis.call('HGET', KEYS[3], slot)
  if value then
    redis.call('ZADD', KEYS[1], now + ARGV[1], slot)
    redis.call('ZADD', KEYS[2], now + ARGV[1], slot)
    out[#out + 1] = slot
    out[#out + 1] = redis.call('HINCRBY', KEYS[4], slot, 1) - 1
    out[#out + 1] = value
    out[#out + 1] = now + ARGV[1]
  else
    redis.call('ZREM', KEYS[1], slot)
  end
end
out[1] = redis.call('ZCOUNT', KEYS[1], '-inf', now + 1)
return out
