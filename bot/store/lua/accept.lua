-- The single round trip of the webhook ingress: store a delivery unless it is a duplicate, and say whether to wake a
-- worker up.
-- KEYS: seen, inbox, wake-up, meta.  ARGV: seen_seconds, wake_up_ms, source, name, delivery, body
-- Returns {result, id of the inbox entry}. Result 0: a duplicate (of that entry); 1: stored, a wake-up is pending
-- already; 2: stored, wake a worker up.
-- A raw delivery is stored whatever the schema is (no fence.lua), because these keys, the fields of an entry and
-- `accepted` have the same names in every version. Events of our own are fenced.
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
