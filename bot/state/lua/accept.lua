-- The door's one round trip: refuse a repeated delivery, keep a new one, say whether a worker must be poked.
-- KEYS: seen, inbox, poke, meta.  ARGV: seen_seconds, poke_ms, source, name, delivery, body
-- Returns 0: a duplicate; 1: kept, a poke is pending already; 2: kept, poke a worker.
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then
  return 0
end
redis.call('XADD', KEYS[2], '*', 's', ARGV[3], 'n', ARGV[4], 'd', ARGV[5], 'b', ARGV[6])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then
  return 2
end
return 1
