-- Have what a webhook did not take delivered once more.
-- KEYS: dead letters, redeliveries. ARGV: slot. Returns 1 if there was such a dead letter, else 0.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], text)
return 1
