-- Renew a claim if the caller still has it: the check before something that cannot be undone.
-- KEYS: due, claimed, outbox.  ARGV: slot, revision, claim_ms, claimed until.
-- Returns until when it is claimed now; 0 if the effect is done, replaced, or claimed by another. If a newer effect has
-- replaced it, that one is due now, because the caller sends nothing more that could arrive after it.
local value = redis.call('HGET', KEYS[3], ARGV[1])
if not value or tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0') ~= tonumber(ARGV[4]) then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if string.sub(value, 1, #ARGV[2] + 1) ~= ARGV[2] .. '\n' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  return 0
end
local until_ms = now + ARGV[3]
redis.call('ZADD', KEYS[1], until_ms, ARGV[1])
redis.call('ZADD', KEYS[2], until_ms, ARGV[1])
return until_ms
