-- Read the backlog of a pipeline, without the bodies.
-- KEYS: meta, inbox, outbox, dead letters, parked, due/jenkins, due/github, due/people.
-- Returns {accepted, taken, version, when the last turn was committed (microseconds) or '', id of the oldest undecided
-- delivery or '', effects not done, effects due, dead letters, parked deliveries, schema of the stored state or ''}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local meta = redis.call('HMGET', KEYS[1], 'accepted', 'taken', 'version', 'epoch', 'cursor', 'schema')
local oldest = redis.call('XRANGE', KEYS[2], '(' .. (meta[5] or '0-0'), '+', 'COUNT', 1)
local due = 0
for i = 6, 8 do
  due = due + redis.call('ZCOUNT', KEYS[i], '-inf', now)
end
return {
  tonumber(meta[1]) or 0, tonumber(meta[2]) or 0, tonumber(meta[3]) or 0, meta[4] or '', oldest[1] and oldest[1][1] or '',
  redis.call('HLEN', KEYS[3]), due, redis.call('HLEN', KEYS[4]), redis.call('LLEN', KEYS[5]), meta[6] or '',
}
