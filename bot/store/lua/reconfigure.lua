-- Put a configuration in force, if the one in force is still the one that the caller has read.
-- KEYS: current, former. ARGV: since when the one that the caller has read is in force ('': there was none), since when
-- the new one is ('': from now on), its digest, its text, who puts it in force, its changes (JSON), how many former
-- digests are kept. Times in milliseconds. Returns since when the new one is in force; 0 if another one is by now.
local current = redis.call('HMGET', KEYS[1], 'since', 'digest')
if (current[1] or '') ~= ARGV[1] then
  return 0
end
local before = tonumber(current[1]) or 0
local since = tonumber(ARGV[2])
if not since then
  local time = redis.call('TIME')
  since = math.max(time[1] * 1000 + math.floor(time[2] / 1000), before + 1)
end
if current[2] then
  redis.call('ZADD', KEYS[2], before, current[2])
end
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[7])
redis.call('HSET', KEYS[1], 'since', string.format('%.0f', since), 'digest', ARGV[3], 'text', ARGV[4], 'by', ARGV[5],
  'changes', ARGV[6])
return since
