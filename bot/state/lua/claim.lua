-- Take effects that are due, each for one performer at a time; never more at once than the family's limit.
-- KEYS: due, held, outbox, tries.  ARGV: hold_ms, count, limit.
-- Returns {slot, tries, value, slot, tries, value, ...}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local room = math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[2]))
local out = {}
if room <= 0 then
  return out
end
for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + 1, 'LIMIT', 0, room)) do
  local value = redis.call('HGET', KEYS[3], slot)
  if value then
    redis.call('ZADD', KEYS[1], now + ARGV[1], slot)
    redis.call('ZADD', KEYS[2], now + ARGV[1], slot)
    out[#out + 1] = slot
    out[#out + 1] = redis.call('HGET', KEYS[4], slot) or '0'
    out[#out + 1] = value
  else
    redis.call('ZREM', KEYS[1], slot)
  end
end
return out
