-- Finish an effect: delete it and add the resulting event to the inbox, in one step.
-- If a newer effect is in its slot by now, that one stays and is due now.
-- KEYS: due, claimed, outbox, tries, inbox, wake-up, meta.  ARGV: slot, revision, wake_up_ms, event or ''
-- Returns 1 if a worker must be woken up for the event, else 0.
redis.call('ZREM', KEYS[2], ARGV[1])
local value = redis.call('HGET', KEYS[3], ARGV[1])
if value then
  redis.call('HDEL', KEYS[4], ARGV[1])
  if string.sub(value, 1, #ARGV[2] + 1) == ARGV[2] .. '\n' then
    redis.call('HDEL', KEYS[3], ARGV[1])
    redis.call('ZREM', KEYS[1], ARGV[1])
  else
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
  end
end
if ARGV[4] == '' then
  return 0
end
redis.call('XADD', KEYS[5], '*', 's', 'event', 'n', '', 'd', '', 'b', ARGV[4])
redis.call('HINCRBY', KEYS[7], 'accepted', 1)
if redis.call('SET', KEYS[6], '1', 'NX', 'PX', ARGV[3]) then
  return 1
end
return 0
