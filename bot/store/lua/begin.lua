-- Begin a turn: take the lease, delete the wake-up key, read the new inbox entries and the changes that others
-- committed.
-- KEYS: lease, wake-up, meta, inbox, changes.  ARGV: token, lease_ms, my_version, my_epoch, batch
-- Returns {0} if another holds the lease, else {1, version, {inbox entries}, {changes since mine}, epoch}.
-- `mine` is the caller's version. Two versions of the same number differ in their epoch: after a fail-over the last
-- versions may have been lost and their numbers used again. Then, and if mine is too old, the changes are empty: the
-- caller must load the board.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return {0}
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('HSETNX', KEYS[3], 'schema', schema) -- `schema` is from fence.lua; the first turn on an empty store sets it
redis.call('DEL', KEYS[2])
local meta = redis.call('HMGET', KEYS[3], 'version', 'cursor', 'epoch')
local version, epoch = tonumber(meta[1]) or 0, meta[3] or '0'
local entries = redis.call('XRANGE', KEYS[4], '(' .. (meta[2] or '0-0'), '+', 'COUNT', ARGV[5])
local changes = {}
local mine = ARGV[3] .. '-' .. ARGV[4]
if tonumber(ARGV[3]) < version and #redis.call('XRANGE', KEYS[5], mine, mine) == 1 then
  changes = redis.call('XRANGE', KEYS[5], '(' .. mine, '+')
end
return {1, version, entries, changes, epoch}
