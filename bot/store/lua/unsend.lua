-- Delete an effect that no performer has begun: used to withdraw a trigger before it is sent.
-- KEYS: due, claimed, outbox, tries.  ARGV: slot
-- Returns 0: it does not exist (done, or never asked for); 1: deleted; 2: a performer has it, or may have begun it.
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 0 then
  return 0
end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) or redis.call('HGET', KEYS[4], ARGV[1]) then
  return 2
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
