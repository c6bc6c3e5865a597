-- Make an effect that could not be performed due later, or turn it into a dead letter.
-- KEYS: due, claimed, outbox, tries, dead letters.  ARGV: slot, revision, delay_ms, dead letter (JSON) or '', change of
-- tries
local claimed = redis.call('ZREM', KEYS[2], ARGV[1])
local value = redis.call('HGET', KEYS[3], ARGV[1])
if not value then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if string.sub(value, 1, #ARGV[2] + 1) ~= ARGV[2] .. '\n' then
  redis.call('HDEL', KEYS[4], ARGV[1])
  redis.call('ZADD', KEYS[1], now, ARGV[1])
elseif ARGV[4] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[1], ARGV[4])
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HDEL', KEYS[4], ARGV[1])
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  if claimed == 1 then -- only once, even if this script is sent again after a lost reply
    redis.call('HINCRBY', KEYS[4], ARGV[1], ARGV[5])
  end
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
end
return 1
