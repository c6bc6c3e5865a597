-- Commit a turn: board, facts, effects, ended runs and the acknowledgement of its events, together or not at all.
-- The version and epoch on which the turn was decided must still be the stored ones: a late worker changes nothing.
-- KEYS: lease, wake-up, meta, inbox, board, changes, facts, outbox, ended, ended_order, due/jenkins, due/github,
-- due/people, dead letters, stories, verified, recorded turns; then, if an effect is claimed, those of claiming.lua.
-- ARGV: token, version, epoch, cursor, taken, due or '', changes_kept, facts_kept, ended_kept, batch, lease_ms,
-- story_kept, verified_kept, the numbers of board rows, facts, effects and ended runs, the number of arguments of
-- claiming.lua (if not 0, an effect is claimed, unless there are more entries to decide), the line of the recorded
-- turn, how many recorded turns are kept; the arguments of claiming.lua; and then: for each board row its field and its
-- JSON ('': delete the field); for each fact its JSON and its run (or ''); for each effect its slot, its JSON, the
-- number of its family and after how many milliseconds it is due; for each ended run its key, its JSON and when it
-- ended. Needs claiming.lua and history.lua.
-- Returns {0} if another worker committed first, else {1, version, {next inbox entries}, epoch, {claimed effect}}; if
-- there is no next entry, the lease is released.
local CLAIM = 21
local meta = redis.call('HMGET', KEYS[3], 'version', 'epoch')
local version = tonumber(meta[1]) or 0
if version ~= tonumber(ARGV[2]) or (meta[2] or '0') ~= ARGV[3] then
  return {0}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = time[1] .. string.format('%06d', time[2])
if version == 0 then
  redis.call('HSET', KEYS[5], 'schema/3', '1') -- bot/store/replica.py: BARRIER
end
version = version + 1
local board = CLAIM + ARGV[18]
local facts = board + 2 * ARGV[14]
local effects = facts + 2 * ARGV[15]
local ended = effects + 4 * ARGV[16]
for i = board, facts - 1, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[5], ARGV[i])
  else
    redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 1])
  end
end
-- Neither a field nor JSON contains a line feed. bot/store/replica.py: catch_up reads this.
local delta = table.concat(ARGV, '\n', board, facts - 1)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[7], version .. '-' .. epoch, 'c', delta)
local facts_of = {} -- by run, its new facts
for i = facts, effects - 1, 2 do
  local fact, run = ARGV[i], ARGV[i + 1]
  local id = redis.call('XADD', KEYS[7], 'MAXLEN', '~', ARGV[8], '*', 'f', fact)
  facts_of[run] = (facts_of[run] and facts_of[run] .. '\n' or '') .. id .. '\n' .. fact
end
for i = effects, ended - 1, 4 do
  local slot = ARGV[i]
  redis.call('HSET', KEYS[8], slot, version .. '\n' .. ARGV[i + 1])
  -- A newer effect in the slot during the debounce changes the content that is sent, not the time.
  redis.call('ZADD', KEYS[11 + ARGV[i + 2]], 'LT', now + ARGV[i + 3], slot)
  redis.call('HDEL', KEYS[14], slot) -- a dead letter in this slot is older: trying it again would undo this effect
end
for i = ended, ended + 3 * ARGV[17] - 1, 3 do
  redis.call('HSET', KEYS[9], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[10], ARGV[i + 2], ARGV[i])
end
local function forget_story(run)
  local number = tonumber(redis.call('HGET', KEYS[15], run) or 0)
  local story = {run}
  for n = math.max(1, number - ARGV[12] + 1), number do
    story[#story + 1] = run .. '#' .. n
  end
  redis.call('HDEL', KEYS[15], unpack(story))
end
for run, texts in pairs(facts_of) do
  -- Facts about a run that is no longer in the history are stored only in the log: nothing would delete them here.
  -- Verifications have no other history than these facts; KEYS[16] orders them by age. The pattern is that of
  -- bot/core/model/run.py: verified_pull.
  local verifies = string.find(run, '%.pr%d+%-%d+$')
  if verifies then
    redis.call('ZADD', KEYS[16], epoch, run)
  end
  if run ~= '' and (verifies or redis.call('HEXISTS', KEYS[5], 'run/' .. run) == 1
      or redis.call('HEXISTS', KEYS[9], run) == 1) then
    local number = redis.call('HINCRBY', KEYS[15], run, 1)
    redis.call('HSET', KEYS[15], run .. '#' .. number, texts)
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
    forget_story(popped[i])
  end
end
surplus = redis.call('ZCARD', KEYS[16]) - tonumber(ARGV[13])
if surplus > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[16], surplus)
  for i = 1, #popped, 2 do
    forget_story(popped[i])
  end
end
redis.call('XADD', KEYS[17], 'MAXLEN', '~', ARGV[20], '*', 'e', epoch, 't', ARGV[19])
redis.call('HSET', KEYS[3], 'version', version, 'epoch', epoch, 'cursor', ARGV[4])
redis.call('HINCRBY', KEYS[3], 'taken', ARGV[5])
if ARGV[6] == '' then
  redis.call('HDEL', KEYS[3], 'due')
else
  redis.call('HSET', KEYS[3], 'due', ARGV[6])
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
if #entries == 0 and ARGV[18] ~= '0' then
  claimed = claim_due(18, CLAIM, now)
end
return {1, version, entries, epoch, claimed}
