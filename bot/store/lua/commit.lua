-- Commit a turn: board, facts, effects, finished runs and the acknowledgement of its events, together or not at all.
-- Fenced by the version that the turn was decided on, and its epoch: a worker that comes late changes nothing.
-- KEYS: lease, wake-up, meta, inbox, board, changes, facts, outbox, ended, ended_order, due/jenkins, due/github,
-- due/people, dead letters, stories; and perhaps those of claiming.lua.
-- ARGV: token, version, epoch, cursor, taken, work (JSON), changes_kept, facts_kept, ended_kept, batch, lease_ms,
-- story_kept; and perhaps the arguments of claiming.lua: then the caller goes on with an effect that is due, unless
-- there is more to decide before. Needs claiming.lua and history.lua.
-- Returns {0} if another committed first, else {1, version, {next inbox entries}, epoch, {what was claimed}}; without a
-- next one the lease is free.
local CLAIMS_FROM = 13 -- behind the others; the very last argument is the fence's
local meta = redis.call('HMGET', KEYS[3], 'version', 'epoch')
local version = tonumber(meta[1]) or 0
if version ~= tonumber(ARGV[2]) or (meta[2] or '0') ~= ARGV[3] then
  return {0}
end
local work = cjson.decode(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = time[1] .. string.format('%06d', time[2])
if version == 0 then
  redis.call('HSET', KEYS[5], 'schema/3', '1') -- bot/store/replica.py: BARRIER
end
version = version + 1
local delta = {}
for _, change in ipairs(work.board) do
  if change[2] == '' then
    redis.call('HDEL', KEYS[5], change[1])
  else
    redis.call('HSET', KEYS[5], change[1], change[2])
  end
  delta[#delta + 1] = change[1]
  delta[#delta + 1] = change[2]
end
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[7], version .. '-' .. epoch, 'c', #delta == 0 and '[]' or cjson.encode(delta))
local facts_of = {} -- by run, its new facts
for _, fact in ipairs(work.facts) do
  local id = redis.call('XADD', KEYS[7], 'MAXLEN', '~', ARGV[8], '*', 'f', fact[1])
  facts_of[fact[2]] = (facts_of[fact[2]] and facts_of[fact[2]] .. '\n' or '') .. id .. '\n' .. fact[1]
end
for _, effect in ipairs(work.effects) do
  redis.call('HSET', KEYS[8], effect[1], version .. '\n' .. effect[2])
  -- News that comes in during the debounce changes what goes out, not when.
  redis.call('ZADD', KEYS[11 + effect[3]], 'LT', now + effect[4], effect[1])
  redis.call('HDEL', KEYS[14], effect[1]) -- what was given up in this slot is older: another try would undo this
end
for _, run in ipairs(work.ended) do
  redis.call('HSET', KEYS[9], run[1], run[2])
  redis.call('ZADD', KEYS[10], run[3], run[1])
end
for run, facts in pairs(facts_of) do
  -- Facts of a run that the history has forgotten go to the log alone: nothing would delete them here.
  if run ~= '' and (redis.call('HEXISTS', KEYS[5], 'run/' .. run) == 1 or redis.call('HEXISTS', KEYS[9], run) == 1) then
    local number = redis.call('HINCRBY', KEYS[15], run, 1)
    redis.call('HSET', KEYS[15], run .. '#' .. number, facts)
    if number > tonumber(ARGV[12]) then
      redis.call('HDEL', KEYS[15], run .. '#' .. (number - ARGV[12]))
    end
  end
end
local surplus = redis.call('ZCARD', KEYS[10]) - tonumber(ARGV[9])
if surplus > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[10], surplus)
  for i = 1, #popped, 2 do
    redis.call('HDEL', KEYS[9], popped[i])
    local number = tonumber(redis.call('HGET', KEYS[15], popped[i]) or 0)
    local story = {popped[i]}
    for n = math.max(1, number - ARGV[12] + 1), number do
      story[#story + 1] = popped[i] .. '#' .. n
    end
    redis.call('HDEL', KEYS[15], unpack(story))
  end
end
redis.call('HSET', KEYS[3], 'version', version, 'epoch', epoch, 'cursor', ARGV[4])
redis.call('HINCRBY', KEYS[3], 'taken', ARGV[5])
if work.due == '' then
  redis.call('HDEL', KEYS[3], 'due')
else
  redis.call('HSET', KEYS[3], 'due', work.due)
end
redis.call('DEL', KEYS[2])
local entries = redis.call('XRANGE', KEYS[4], '(' .. ARGV[4], '+', 'COUNT', ARGV[10])
if redis.call('GET', KEYS[1]) == ARGV[1] then
  if #entries == 0 then
    redis.call('DEL', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], ARGV[11])
  end
end
local claimed = {}
if #entries == 0 and #ARGV > CLAIMS_FROM then
  claimed = claim_due(16, CLAIMS_FROM, now)
end
return {1, version, entries, epoch, claimed}
