-- Stands before every other script (scripts.py): nothing is read or written that another version of Interlock stored.
-- The last key is meta, the last argument the schema that the caller understands.
local schema = tonumber(ARGV[#ARGV])
local stored = redis.call('HGET', KEYS[#KEYS], 'schema')
if stored and tonumber(stored) ~= schema then
  return redis.error_reply('OTHERSCHEMA ' .. stored)
end
