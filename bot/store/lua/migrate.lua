-- Put the migrated state in force, whole or not at all: rename the temporary keys to those of the state.
-- Not fenced by fence.lua, because it checks the old schema itself.
-- KEYS: lease, meta, changes, outbox, dead letters, heads, then pairs of (temporary or former key, key in force).
-- ARGV: token, schema before, schema after, version, epoch, changed effects (JSON: {which key, slot, before, after})
-- Returns 1; or 0, and changes nothing, if another process took the turn or migrated meanwhile.
local meta = redis.call('HMGET', KEYS[2], 'schema', 'version', tonumber(ARGV[2]) < 4 and 'mark' or 'epoch')
local same = meta[1] == ARGV[2] and (meta[2] or '0') == ARGV[4] and (meta[3] or '0') == ARGV[5]
if not same or redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
for _, effect in ipairs(cjson.decode(ARGV[6])) do
  if redis.call('HGET', KEYS[3 + effect[1]], effect[2]) == effect[3] then -- else its performer has changed it meanwhile
    redis.call('HSET', KEYS[3 + effect[1]], effect[2], effect[4])
  end
end
for i = 7, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RENAME', KEYS[i], KEYS[i + 1])
  end
end
redis.call('DEL', KEYS[6]) -- GitHub is asked for the heads of main again
-- No board replica can be updated to the new board: without changes, and with a new epoch, every process reloads it.
redis.call('DEL', KEYS[3])
local time = redis.call('TIME')
local epoch = time[1] .. string.format('%06d', time[2])
redis.call('HDEL', KEYS[2], 'mark')
redis.call('HSET', KEYS[2], 'schema', ARGV[3], 'version', (tonumber(meta[2]) or 0) + 1, 'epoch', epoch)
redis.call('DEL', KEYS[1])
return 1
