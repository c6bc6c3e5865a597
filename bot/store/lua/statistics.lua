-- Store changed parts of the statistics, unless another process has stored newer ones meanwhile.
-- KEYS: statistics. ARGV: the cursor that was read, the cursor now, changes (JSON: {{key, part or ''}, ...}); the
-- fence's. Returns 1; or 0, and changes nothing, if another process came first.
if (redis.call('HGET', KEYS[1], 'cursor') or '0-0') ~= ARGV[1] then
  return 0
end
for _, change in ipairs(cjson.decode(ARGV[3])) do
  if change[2] == '' then
    redis.call('HDEL', KEYS[1], change[1])
  else
    redis.call('HSET', KEYS[1], change[1], change[2])
  end
end
redis.call('HSET', KEYS[1], 'cursor', ARGV[2])
return 1
