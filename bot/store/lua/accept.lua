-- The webhook ingress' one round trip: keep a new delivery, not a repeated one; say whether to wake a worker up.
-- KEYS: seen, inbox, wake-up, meta.  ARGV: seen_seconds, wake_up_ms, source, name, delivery, body
-- Returns {what, id of the inbox entry}; what is 0: a duplicate (of that entry); 1: kept, a wake-up is pending already;
-- 2: kept, wake a worker up.
-- A raw delivery is kept whatever the schema (no fence.lua): these keys, the fields of an entry and `accepted` have the
-- same names in every version. Events of our own are fenced.
local seen = redis.call('GET', KEYS[1])
if seen then
  return {0, seen}
end
local id = redis.call('XADD', KEYS[2], '*', 's', ARGV[3], 'n', ARGV[4], 'd', ARGV[5], 'b', ARGV[6])
redis.call('SET', KEYS[1], id, 'EX', ARGV[1])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then
  return {2, id}
end
return {1, id}
