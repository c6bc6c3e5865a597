-- Remove a parked delivery, for another try into the inbox, and add the event that says who did it: the next turn
-- writes the fact.
-- KEYS: parked, inbox, wake-up, meta.  ARGV: the parked text, 1 for another try or 0, wake_up_ms, source, name,
-- delivery, body, event.
-- Returns -1 if it did not exist, 1 if a worker must be woken up, else 0.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then
  return -1
end
redis.call('XADD', KEYS[2], '*', 's', 'event', 'n', '', 'd', '', 'b', ARGV[8])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
if ARGV[2] == '1' then
  redis.call('XADD', KEYS[2], '*', 's', ARGV[4], 'n', ARGV[5], 'd', ARGV[6], 'b', ARGV[7])
  redis.call('HINCRBY', KEYS[4], 'accepted', 1)
end
if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[3]) then
  return 1
end
return 0
