-- Replace the reported state of the health, unless another process has replaced it meanwhile.  KEYS: alerts.
-- ARGV: the value as it was read ('' if there was none), the new value.  Returns 1 if the new value is stored, else 0.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
