-- Release the lease, unless new entries have arrived: then keep it and say so, so that no wake-up is lost.
-- KEYS: lease, meta, inbox.  ARGV: token, '1' to release it in any case: then the caller wakes a worker up.
-- Returns 1 if there are new entries and the lease is still held; else 0.
local cursor = redis.call('HGET', KEYS[2], 'cursor') or '0-0'
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] ~= '1' and #redis.call('XRANGE', KEYS[3], '(' .. cursor, '+', 'COUNT', 1) > 0 then
  return 1
end
redis.call('DEL', KEYS[1])
return 0
