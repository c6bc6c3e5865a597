-- Give the lease back, unless something came in meanwhile: then keep it and say so, so that no wake-up is lost.
-- KEYS: lease, meta, inbox.  ARGV: token, '1' to give it back although there is more to do: somebody is woken up for
-- that.
-- Returns 1 if there is more to do, and the lease is still held; else 0.
local cursor = redis.call('HGET', KEYS[2], 'cursor') or '0-0'
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] ~= '1' and #redis.call('XRANGE', KEYS[3], '(' .. cursor, '+', 'COUNT', 1) > 0 then
  return 1
end
redis.call('DEL', KEYS[1])
return 0
