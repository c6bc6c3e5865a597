-- Take effects that are due, each for one performer at a time; never more at once than the family's limit.
-- The first try of a trigger is noted at once as about to be posted (as intent.lua does), where its job is known to be
-- fit and nothing is in doubt. Needs history.lua.
-- KEYS: due, held, outbox, tries, meta, how the keys of notes begin.
-- ARGV: hold_ms, count, limit, notes (JSON: by `controller<LF>job` the note of a post to it), note_ms, in_doubt_ms.
-- Returns {how many more are due, slot, tries, value, held until, noted (0: no; 1: yes; 2: yes, and a replica must
-- confirm it), ...}; a try counts from the claim on, so that one
-- that was cut off by a crash is known to have begun. A slot in somebody's hands is passed over, even if a newer effect
-- is due in it: the older one, still on its way, could arrive after the newer.
local notes = cjson.decode(ARGV[4])
local function noted(slot, value, now)
  if string.sub(slot, 1, 8) ~= 'trigger/' or next(notes) == nil then
    return 0
  end
  local effect = cjson.decode(string.sub(value, string.find(value, '\n', 1, true) + 1))
  local note = notes[effect.job.controller .. '\n' .. effect.job.name]
  if not note or effect.look_first == true then
    return 0
  end
  local changed, follows = goes_on(5, now)
  if changed > 0 and now - changed < tonumber(ARGV[6]) then
    return 0
  end
  redis.call('SET', KEYS[6] .. effect.run .. ':' .. effect.attempt, note, 'PX', ARGV[5])
  return follows and 2 or 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local held = redis.call('ZCARD', KEYS[2])
local room = math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - held)
local out = {0}
if room <= 0 then
  return out
end
for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now + 1, 'LIMIT', 0, room + held)) do
  local value = redis.call('HGET', KEYS[3], slot)
  if room == 0 then
    break
  elseif value and redis.call('ZSCORE', KEYS[2], slot) then
    -- its performer is not done: finishing makes the newer effect due, and the end of the hold does, too
  elseif value then
    room = room - 1
    redis.call('ZADD', KEYS[1], now + ARGV[1], slot)
    redis.call('ZADD', KEYS[2], now + ARGV[1], slot)
    out[#out + 1] = slot
    local tries = redis.call('HINCRBY', KEYS[4], slot, 1) - 1
    out[#out + 1] = tries
    out[#out + 1] = value
    out[#out + 1] = now + ARGV[1]
    out[#out + 1] = tries == 0 and noted(slot, value, now) or 0
  else
    redis.call('ZREM', KEYS[1], slot)
  end
end
out[1] = redis.call('ZCOUNT', KEYS[1], '-inf', now + 1)
return out
