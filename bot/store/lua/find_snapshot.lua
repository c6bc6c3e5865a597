-- Find a recent snapshot without returning its content, which takes 1.7 MB for 1,000 services.
-- KEYS: recent snapshots.
-- ARGV: `first` for the first one from a time on, or `last` for the last one up to it; the time (milliseconds).
-- Returns its id and the version of its board, or an empty list.
local rows
if ARGV[1] == 'first' then
  rows = redis.call('XRANGE', KEYS[1], ARGV[2], '+', 'COUNT', 1)
else
  rows = redis.call('XREVRANGE', KEYS[1], ARGV[2], '-', 'COUNT', 1)
end
local found = rows[1]
if not found then
  return {}
end
return {found[1], found[2][2]}
