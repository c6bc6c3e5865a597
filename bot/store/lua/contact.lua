-- What came of a request to somebody outside: a good answer, or an error.
-- KEYS: contacts (hash: `name good`: when, `name bad`: JSON).  ARGV: name, 'good' or 'bad', why, forbidden (1 or 0),
-- how many errors are told of at once, milliseconds after which all is forgotten if nobody is asked any more.
-- `since` is the first error after the last good answer, `count` how many there were since then.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == 'good' then
  redis.call('HSET', KEYS[1], ARGV[1] .. ' good', now)
else
  local since, count = now, tonumber(ARGV[5])
  local good = tonumber(redis.call('HGET', KEYS[1], ARGV[1] .. ' good') or '0')
  local known = redis.call('HGET', KEYS[1], ARGV[1] .. ' bad')
  if known then
    local before = cjson.decode(known)
    if before.at >= good then
      since, count = before.since, count + (before.count or 0)
    end
  end
  local bad = {at = now, since = since, why = ARGV[3], forbidden = ARGV[4] == '1', count = count}
  redis.call('HSET', KEYS[1], ARGV[1] .. ' bad', cjson.encode(bad))
end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return now
