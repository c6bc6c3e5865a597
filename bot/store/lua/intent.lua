-- Store the post note of an attempt, if its trigger is still claimed by the caller, and renew the claim. It is one step
-- so that the same server has claim and note, whatever happens to the others. Needs history.lua.
-- KEYS: due, claimed, outbox, meta, posted.  ARGV: slot, revision, claim_ms, claimed until, note, note_ms, looked,
-- unacknowledged_ms
-- `looked`: the time of the change (see history.lua) after which the caller has looked for builds of triggers posted
-- before it; 0: it has not looked.
-- Returns {0}: the trigger is done, replaced, or claimed by another; {1, claimed until, 1 if a replica must confirm
-- it}; {2, changed, milliseconds since}: look first. A server that never had a replica was only restarted: everything
-- sent before that has arrived long ago, so the change counts as a day old.
local LONG_AGO = 86400000
local value = redis.call('HGET', KEYS[3], ARGV[1])
if not value or tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0') ~= tonumber(ARGV[4]) then
  return {0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if string.sub(value, 1, #ARGV[2] + 1) ~= ARGV[2] .. '\n' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  return {0}
end
local changed, follows, replicated, lacks_writes = goes_on(4, now, ARGV[8])
if lacks_writes and changed ~= tonumber(ARGV[7]) then
  return {2, changed, replicated and now - changed or LONG_AGO}
end
local until_ms = now + ARGV[3]
redis.call('ZADD', KEYS[1], until_ms, ARGV[1])
redis.call('ZADD', KEYS[2], until_ms, ARGV[1])
redis.call('SET', KEYS[5], ARGV[5], 'PX', ARGV[6])
return {1, until_ms, follows and 1 or 0}
