-- The clock: if something on the board is due, add the event to the inbox, once. Needs history.lua.
-- KEYS: meta, inbox, due/jenkins, claimed/jenkins.  ARGV: event.
-- Returns {how many accepted deliveries wait for a turn, 1 if everything must be asked for now}. Everything must be
-- asked for immediately after another Redis took over (history.lua), and again when processes that had not noticed it
-- yet have had time to do so.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = goes_on(1, now)
local look = (tonumber(redis.call('HGET', KEYS[1], 'look') or '') or now + 1) <= now
if look and now - changed < LOOK_AGAIN_AFTER then
  redis.call('HSET', KEYS[1], 'look', changed + LOOK_AGAIN_AFTER)
  -- A performer with a claim from before could not store its result: end the claims now and not in half a minute. A
  -- performer that continues nevertheless is recognized by the end of its claim: no later claim has the same.
  for _, slot in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    redis.call('ZADD', KEYS[3], 'XX', now + 10, slot)
  end
  redis.call('DEL', KEYS[4])
elseif look then
  redis.call('HDEL', KEYS[1], 'look')
end
local meta = redis.call('HMGET', KEYS[1], 'due', 'accepted', 'taken')
local waiting = (tonumber(meta[2]) or 0) - (tonumber(meta[3]) or 0)
if meta[1] and tonumber(meta[1]) <= tonumber(time[1]) + time[2] / 1000000 then
  redis.call('HDEL', KEYS[1], 'due')
  redis.call('XADD', KEYS[2], '*', 's', 'event', 'n', '', 'd', '', 'b', ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'accepted', 1)
  waiting = waiting + 1
end
return {waiting, look and 1 or 0}
