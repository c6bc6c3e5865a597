-- Stop the requests to GitHub for a time. A longer pause is not shortened.  KEYS: pause.  ARGV: milliseconds, why
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
return 1
