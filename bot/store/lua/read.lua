-- Read the version and the changes since the caller's version, or (the first time, or if that is too old) the whole
-- board.
-- KEYS: meta, changes, board.  ARGV: my_version, my_epoch (see begin.lua).
-- Returns {version, epoch, {changes}} or {version, epoch, {}, {whole board}}
local meta = redis.call('HMGET', KEYS[1], 'version', 'epoch')
local version, epoch = tonumber(meta[1]) or 0, meta[2] or '0'
if tonumber(ARGV[1]) == version and ARGV[2] == epoch then
  return {version, epoch, {}}
end
local mine = ARGV[1] .. '-' .. ARGV[2]
if tonumber(ARGV[1]) < version and #redis.call('XRANGE', KEYS[2], mine, mine) == 1 then
  return {version, epoch, redis.call('XRANGE', KEYS[2], '(' .. mine, '+')}
end
return {version, epoch, {}, redis.call('HGETALL', KEYS[3])}
