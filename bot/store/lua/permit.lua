-- Decide whether a request may be sent to GitHub now. If so it is counted; if not, a write gets a place in the queue of
-- its kind.
-- KEYS: pause, primary, line, wrote, notices, created, points.
-- ARGV: reserve, ticket ('' for a read), yields (1: takes no place in the queue, and is sent only when that is empty),
-- points a minute (0: no limit), cost of the request in points, spacing_ms, creates (1: it creates something and
-- notifies people), spacing of these, the most of these in a minute, in an hour.
-- Returns {milliseconds to wait (0: send it), why}.
-- `line` and `notices` are sorted sets: the waiting tickets, by when they may be sent. `created`: the creating writes
-- of the last hour, by when they were sent. `points`: the points spent, in buckets of ten seconds.
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
local ticket, yields = ARGV[2], ARGV[3] == '1'
local points, cost, spacing = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if points == 0 then
  return {wait, why}
end

local bucket = math.floor(now / 10000)
local function wait_for_points()
  local spent, first = 0, bucket
  local rows = redis.call('HGETALL', KEYS[7])
  for i = 1, #rows, 2 do
    local at = tonumber(rows[i])
    if at <= bucket - 7 then
      redis.call('HDEL', KEYS[7], rows[i])
    else
      spent, first = spent + rows[i + 1], math.min(first, at)
    end
  end
  return spent + cost > points and (first + 7) * 10000 - now or 0
end
local function spend()
  redis.call('HINCRBY', KEYS[7], bucket, cost)
  redis.call('PEXPIRE', KEYS[7], 120000)
  return {0, ''}
end

local over = wait_for_points()
if over > wait then
  wait, why = over, 'points'
end
if ticket == '' then
  if wait > 0 then
    return {wait, why}
  end
  return spend()
end

local creates = ARGV[7] == '1'
local queue, apart = 3, spacing
if creates then
  queue, apart = 5, tonumber(ARGV[8])
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now - 3600000)
  local limits = {{tonumber(ARGV[9]), 60000}, {tonumber(ARGV[10]), 3600000}}
  for _, limit in ipairs(limits) do
    local before = redis.call('ZREVRANGE', KEYS[6], limit[1] - 1, limit[1] - 1, 'WITHSCORES')
    if before[2] and before[2] + limit[2] > now + wait then
      return {before[2] + limit[2] - now, 'content'} -- no place in the queue: it would hold up those behind it
    end
  end
end

local free = (tonumber(redis.call('GET', KEYS[4])) or 0) + spacing
if creates then
  local last = redis.call('ZREVRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  free = math.max(free, (last[2] or 0) + apart)
else -- a notice that may be sent now goes first: for its next place it would wait three times as long as a write
  local due = redis.call('ZRANGEBYSCORE', KEYS[5], now - 3 * spacing, now, 'LIMIT', 0, 1)
  if due[1] then
    free = math.max(free, now + spacing)
  end
end
local from = math.max(now + wait, free)
local at = redis.call('ZSCORE', KEYS[queue], ticket)
if at and wait > 0 and tonumber(at) < now + wait then
  -- Its time came while nothing could be sent; without a new place all such writes would be sent at once
  redis.call('ZREM', KEYS[queue], ticket)
  at = false
end
if not at then
  redis.call('ZREMRANGEBYSCORE', KEYS[queue], '-inf', now - 3600000)
  local last = redis.call('ZREVRANGE', KEYS[queue], 0, 0, 'WITHSCORES')
  at = math.max(from, (last[2] or 0) + apart)
  if yields and at > now then
    return {at - now, why == '' and 'spacing' or why}
  end
  redis.call('ZADD', KEYS[queue], at, ticket)
  redis.call('PEXPIRE', KEYS[queue], 7200000)
end
at = math.max(tonumber(at), from)
if at > now then
  return {at - now, why == '' and 'spacing' or why}
end
redis.call('ZREM', KEYS[queue], ticket)
redis.call('SET', KEYS[4], now, 'PX', math.max(spacing, 1))
if creates then
  redis.call('ZADD', KEYS[6], now, time[1] .. '.' .. time[2])
  redis.call('PEXPIRE', KEYS[6], 7200000)
end
return spend()
