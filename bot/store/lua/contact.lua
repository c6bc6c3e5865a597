-- Record the result of a request to an outside system: a good answer, or an error.
-- KEYS: contacts (hash: `name good`: when, `name bad`: JSON).  ARGV: name, 'good' or 'bad', why, forbidden (1 or 0),
-- how many errors this call stands for, after how many milliseconds without a request the hash is deleted.
-- `since` is the time of the first error after the last good answer, `count` the number of errors since then.
-- An error counts as later than a good answer only if its time is greater; the times are shifted so that an error and a
-- good answer of the same millisecond keep their order.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local good = tonumber(redis.call('HGET', KEYS[1], ARGV[1] .. ' good') or '0')
local known = redis.call('HGET', KEYS[1], ARGV[1] .. ' bad')
local before = known and cjson.decode(known)
if ARGV[2] == 'good' then
  if before then
    now = math.max(now, before.at)
  end
  redis.call('HSET', KEYS[1], ARGV[1] .. ' good', now)
else
  now = math.max(now, good + 1)
  local since, count = now, tonumber(ARGV[5])
  if before and before.at > good then
    since, count = before.since, count + (before.count or 0)
  end
  local bad = {at = now, since = since, why = ARGV[3], forbidden = ARGV[4] == '1', count = count}
  redis.call('HSET', KEYS[1], ARGV[1] .. ' bad', cjson.encode(bad))
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return now
