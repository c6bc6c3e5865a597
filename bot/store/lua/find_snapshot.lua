-- Find a snapshot of the last day without what is in it: that of 1,000 services takes 1.7 MB.
-- KEYS: recent snapshots.
-- ARGV: `first`: the first one from a time on, `last`: the last one up to it; the time (milliseconds).
-- Returns its id and the version of its board; nothing if there is none.
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
