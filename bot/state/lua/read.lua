-- For readers: the version, and the changes since theirs, or (first time, or too far behind) the whole board.
-- KEYS: meta, changes, board.  ARGV: my_version.  Returns {version, {changes}} or {version, {changes}, {whole board}}
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
local mine = tonumber(ARGV[1])
if mine == version then
  return {version, {}}
end
local changes = {}
if mine > 0 and mine < version then
  changes = redis.call('XRANGE', KEYS[2], (mine + 1) .. '-0', '+')
end
if #changes == version - mine then
  return {version, changes}
end
return {version, {}, redis.call('HGETALL', KEYS[3])}
