-- Take over what was told of the health, if nobody else has meanwhile.  KEYS: alerts.  ARGV: as it was read ('' if
-- there was nothing), as it is to be.  Returns 1 if it is now so, else 0.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
