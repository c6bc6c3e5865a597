-- Find a snapshot of the last day without what is in it: that of 1,000 services takes 1.7 MB.
-- KEYS: recent snapshots.
-- ARGV: `XRANGE` for the first one from a time on, `XREVRANGE` for the last one up to it; the time (milliseconds).
-- Returns its id and the version of its board; nothing if there is none.
local found = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[1] == 'XRANGE' and '+' or '-', 'COUNT', 1)[1]
if not found then
  return {}
end
return {found[1], found[2][2]}
