-- Remove a dead letter, and add the event that says who did it: the next turn writes the fact.
-- An effect to be tried again is due now, with its tries reset; a newer effect in the same slot takes precedence. The
-- undelivered facts of a webhook become a redelivery.
-- KEYS: dead letters, inbox, wake-up, meta, due, outbox, tries, redeliveries.
-- ARGV: slot, wake_up_ms, event, 'drop' or 'redeliver' or 'revive', value for the outbox or '', after how many
-- milliseconds redeliveries that no process takes are deleted.
-- Returns -1 if there was no such dead letter, 1 if a worker must be woken up, else 0.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then
  return -1
end
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[4] == 'redeliver' then
  redis.call('HSET', KEYS[8], ARGV[1], text)
  redis.call('PEXPIRE', KEYS[8], ARGV[6])
elseif ARGV[4] == 'revive' and redis.call('HSETNX', KEYS[6], ARGV[1], ARGV[5]) == 1 then
  redis.call('HDEL', KEYS[7], ARGV[1])
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[5], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
end
redis.call('XADD', KEYS[2], '*', 's', 'event', 'n', '', 'd', '', 'b', ARGV[3])
redis.call('HINCRBY', KEYS[4], 'accepted', 1)
if redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then
  return 1
end
return 0
