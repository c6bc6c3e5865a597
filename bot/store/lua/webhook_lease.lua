-- Take, renew or (lease_ms 0) release the lease on an outbound webhook.
-- KEYS: lease, redeliveries. ARGV: token, lease_ms; the fence's.
-- Returns {0 if another process has it or it was released, 1 if it was taken, 2 if it was renewed; how many
-- redeliveries wait; the time in milliseconds}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {0, 0, now}
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return {0, 0, now}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {holder and 2 or 1, redis.call('HLEN', KEYS[2]), now}
