-- May a request go to GitHub now? A write also takes its place in the queue of all writes, over all processes.
-- KEYS: pause, primary, queue, wrote.  ARGV: reserve, ticket ('' for reading), spacing_ms, per_minute, per_hour,
-- yields (1: takes no place in the queue, and goes only when that is empty).
-- Returns {milliseconds to wait (0: go, and for a write it counts as sent), why}.
-- The queue is a sorted set: tickets by when they may go, and the writes of the last hour by when they went.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait, why = redis.call('PTTL', KEYS[1]), ''
if wait > 0 then
  why = redis.call('GET', KEYS[1])
else
  wait = 0
end
local primary = redis.call('HMGET', KEYS[2], 'remaining', 'limit', 'reset')
if primary[1] and tonumber(primary[3]) > now and tonumber(primary[1]) <= tonumber(primary[2]) * ARGV[1] then
  if primary[3] - now > wait then
    wait, why = primary[3] - now, 'reserve'
  end
end
local ticket, spacing = ARGV[2], tonumber(ARGV[3])
if ticket == '' or spacing == 0 then
  return {wait, why}
end
local from = now + wait
local at = redis.call('ZSCORE', KEYS[3], ticket)
if at and wait > 0 and tonumber(at) < from then
  redis.call('ZREM', KEYS[3], ticket) -- its time came while nobody might go: else all of them would go at once
  at = false
end
if not at then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
  local limits = {{tonumber(ARGV[4]), 60000}, {tonumber(ARGV[5]), 3600000}}
  for _, limit in ipairs(limits) do
    local before = redis.call('ZREVRANGE', KEYS[3], limit[1] - 1, limit[1] - 1, 'WITHSCORES')
    if before[2] and before[2] + limit[2] > from then
      return {before[2] + limit[2] - now, 'content'} -- no place in the queue: it would keep others behind it
    end
  end
  local last = redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  at = math.max(from, (last[2] or 0) + spacing)
  if ARGV[6] == '1' and at > now then
    return {at - now, why == '' and 'spacing' or why}
  end
  redis.call('ZADD', KEYS[3], at, ticket)
  redis.call('PEXPIRE', KEYS[3], 7200000)
end
local free = (tonumber(redis.call('GET', KEYS[4])) or 0) + spacing
at = math.max(tonumber(at), free)
if at > now then
  return {at - now, why == '' and 'spacing' or why}
end
redis.call('ZREM', KEYS[3], ticket)
redis.call('ZADD', KEYS[3], now, 'sent ' .. time[1] .. '.' .. time[2])
redis.call('SET', KEYS[4], now, 'PX', spacing)
return {0, ''}
