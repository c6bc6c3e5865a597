-- Loaded before a fenced script (scripts.py): stop with an error if the stored state has another schema.
-- The last key is meta, the last argument the schema of the caller.
local schema = tonumber(ARGV[#ARGV])
local stored = redis.call('HGET', KEYS[#KEYS], 'schema')
if stored and tonumber(stored) ~= schema then
  return redis.error_reply('OTHERSCHEMA ' .. stored)
end
