-- Replace the first entries of the inbox by one pack, unless another process has done so.
-- KEYS: inbox, deliveries.  ARGV: id of the first entry, id of the last one, the pack.  The pack gets the id of the last.
-- Returns 1; or 0, and changes nothing, if the inbox does not begin with that entry.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[2], ARGV[2], 'z', ARGV[3])
local milliseconds, number = string.match(ARGV[2], '^(%d+)%-(%d+)$')
redis.call('XTRIM', KEYS[1], 'MINID', milliseconds .. '-' .. string.format('%d', number + 1))
return 1
