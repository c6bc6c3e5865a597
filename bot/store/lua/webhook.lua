-- Store how far an outbound webhook has come, if this process still has the lease on it.
-- KEYS: lease, webhook, dead letters, redeliveries. ARGV: token, lease_ms, changed fields of the webhook (JSON: {field:
-- text}), slot of a dead letter or '', its former text (or ''), its new text; slot of a redelivery to delete or '',
-- slot of the rest of it or '', the text of that; after how many milliseconds without a change the state of a webhook
-- is deleted; the fence's.
-- Returns 1; or, and changes nothing, 0 if another process has the lease, 2 if the dead letter has another text.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[4] ~= '' and (redis.call('HGET', KEYS[3], ARGV[4]) or '') ~= ARGV[5] then
  return 2
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for field, text in pairs(cjson.decode(ARGV[3])) do
  redis.call('HSET', KEYS[2], field, text)
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[6])
end
if ARGV[7] ~= '' then
  redis.call('HDEL', KEYS[4], ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[8], ARGV[9])
end
redis.call('PEXPIRE', KEYS[2], ARGV[10])
redis.call('PEXPIRE', KEYS[4], ARGV[10])
return 1
