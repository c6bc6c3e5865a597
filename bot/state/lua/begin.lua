-- Begin a turn: take the lease, take down the poke, read what came in and what others committed meanwhile.
-- KEYS: lease, poke, meta, inbox, changes.  ARGV: token, lease_ms, my_version, batch
-- Returns {0} if another holds the lease, else {1, version, {inbox entries}, {changes since my_version}}.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return {0}
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('DEL', KEYS[2])
local meta = redis.call('HMGET', KEYS[3], 'version', 'cursor')
local version = tonumber(meta[1]) or 0
local entries = redis.call('XRANGE', KEYS[4], '(' .. (meta[2] or '0-0'), '+', 'COUNT', ARGV[4])
local changes = {}
if tonumber(ARGV[3]) < version then
  changes = redis.call('XRANGE', KEYS[5], (ARGV[3] + 1) .. '-0', '+')
end
return {1, version, entries, changes}
