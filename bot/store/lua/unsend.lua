-- Take back an effect that nobody has begun: used to withdraw a trigger before it goes out.
-- KEYS: due, claimed, outbox, tries.  ARGV: slot
-- Returns 0: not there (done, or never was); 1: taken back; 2: somebody is doing it right now, or may have begun.
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then
  return 0
end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) or redis.call('HGET', KEYS[4], ARGV[1]) then
  return 2
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
