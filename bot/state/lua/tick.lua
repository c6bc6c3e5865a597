-- The clock: if something on the board is due, say so in the inbox, once.
-- KEYS: meta, inbox.  ARGV: event.  Returns how many accepted deliveries wait for a turn.
local time = redis.call('TIME')
local meta = redis.call('HMGET', KEYS[1], 'due', 'accepted', 'taken')
local waiting = (tonumber(meta[2]) or 0) - (tonumber(meta[3]) or 0)
if meta[1] and tonumber(meta[1]) <= tonumber(time[1]) + time[2] / 1000000 then
  redis.call('HDEL', KEYS[1], 'due')
  redis.call('XADD', KEYS[2], '*', 's', 'event', 'n', '', 'd', '', 'b', ARGV[1])
  redis.call('HINCRBY', KEYS[1], 'accepted', 1)
  waiting = waiting + 1
end
return waiting
