-- Put the restored values of one hash tag in force, whole or not at all: rename the temporary keys.
-- KEYS: as many keys to delete as ARGV[1] says; then for each value its temporary key and its own. For a pipeline then
-- also: meta, inbox, the note that the event was delivered.
-- ARGV: the number of keys to delete; the number of values; for each value when it expires (milliseconds, 0: never);
-- for a pipeline then also: now, the field of the epoch, until when each trigger is preceded by a look in Jenkins, the
-- event, for how many seconds its delivery id is remembered.
-- Returns 1; or 0, and changes nothing, if a temporary key has expired because the restoration took too long.
local gone, values = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = gone + 1, gone + 2 * values, 2 do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    return 0
  end
end
for i = 1, gone do
  redis.call('UNLINK', KEYS[i])
end
for i = 1, values do
  redis.call('RENAME', KEYS[gone + 2 * i - 1], KEYS[gone + 2 * i])
  if ARGV[2 + i] == '0' then
    redis.call('PERSIST', KEYS[gone + 2 * i])
  else
    redis.call('PEXPIREAT', KEYS[gone + 2 * i], ARGV[2 + i])
  end
end
local last = gone + 2 * values -- after it: meta, inbox, the note that the event was delivered
if not KEYS[last + 1] then
  return 1
end
local now, epoch, until_ms, event, remembered = unpack(ARGV, values + 3)
-- No board replica can be updated to this board: with a new epoch every process reloads it.
local time = redis.call('TIME')
redis.call('HSET', KEYS[last + 1], epoch, time[1] .. string.format('%06d', time[2]))
redis.call('HINCRBY', KEYS[last + 1], 'version', 1)
-- What happened since the backup is unknown: everything is asked for, and a look in Jenkins precedes each trigger.
-- `followed`: requests of the former Interlock may still be on their way, as after a fail-over.
redis.call('HDEL', KEYS[last + 1], 'history')
redis.call('HSET', KEYS[last + 1], 'changed', now, 'look', now, 'followed', 1, 'unacknowledged_until', until_ms)
local id = redis.call('XADD', KEYS[last + 2], '*', 's', 'event', 'n', 'store-changed', 'd', '', 'b', event)
redis.call('SET', KEYS[last + 3], id, 'EX', remembered)
redis.call('HINCRBY', KEYS[last + 1], 'accepted', 1)
return 1
