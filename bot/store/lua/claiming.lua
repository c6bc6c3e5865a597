-- Functions for other scripts, loaded before them and after history.lua (see bot/store/scripts.py): claim effects that
-- are due. An effect has one claim at a time, and a family has no more claims at once than its limit. When a trigger is
-- claimed for its first try, its post note is stored as well (as intent.lua does), if its job was found to be fit and
-- no writes count as unacknowledged.
--
-- claim_due(at, args, now)
--   KEYS[at] and after: due, claimed, outbox, tries, meta, the prefix of the keys of post notes.
--   ARGV[args] and after: claim_ms, count, limit, notes (JSON: the text of the note by `controller<LF>job`), note_ms,
--   unacknowledged_ms.
-- Returns {how many more are due, slot, tries, value, claimed until, noted (0: no; 1: yes; 2: yes, and a replica must
-- confirm it), ...}.
-- A try counts from the claim on, so that one that a crash interrupted is known to have begun. A claimed slot is
-- skipped even if a newer effect is due in it: the older one, still on its way, could arrive after the newer.
local function note_post(at, args, notes, slot, value, now)
  if string.sub(slot, 1, 8) ~= 'trigger/' or next(notes) == nil then
    return 0
  end
  local effect = cjson.decode(string.sub(value, string.find(value, '\n', 1, true) + 1))
  local note = notes[effect.job.controller .. '\n' .. effect.job.name]
  if not note or effect.look_first == true then
    return 0
  end
  local _, follows, _, lacks_writes = goes_on(at + 4, now, ARGV[args + 5])
  if lacks_writes then
    return 0
  end
  redis.call('SET', KEYS[at + 5] .. effect.run .. ':' .. effect.attempt, note, 'PX', ARGV[args + 4])
  return follows and 2 or 1
end
local function claim_due(at, args, now)
  local notes = cjson.decode(ARGV[args + 3])
  local claimed_until = now + ARGV[args]
  redis.call('ZREMRANGEBYSCORE', KEYS[at + 1], '-inf', now)
  local taken = redis.call('ZCARD', KEYS[at + 1])
  local room = math.min(tonumber(ARGV[args + 1]), tonumber(ARGV[args + 2]) - taken)
  local out = {0}
  if room <= 0 then
    return out
  end
  for _, slot in ipairs(redis.call('ZRANGEBYSCORE', KEYS[at], '-inf', now + 1, 'LIMIT', 0, room + taken)) do
    local value = redis.call('HGET', KEYS[at + 2], slot)
    if room == 0 then
      break
    elseif value and redis.call('ZSCORE', KEYS[at + 1], slot) then
      -- its performer has not finished: the newer effect becomes due when that finishes, or when the claim ends
    elseif value then
      room = room - 1
      redis.call('ZADD', KEYS[at], claimed_until, slot)
      redis.call('ZADD', KEYS[at + 1], claimed_until, slot)
      local tries = redis.call('HINCRBY', KEYS[at + 3], slot, 1) - 1
      local noted = tries == 0 and note_post(at, args, notes, slot, value, now) or 0
      for _, part in ipairs({slot, tries, value, claimed_until, noted}) do
        out[#out + 1] = part
      end
    else
      redis.call('ZREM', KEYS[at], slot)
    end
  end
  out[1] = redis.call('ZCOUNT', KEYS[at], '-inf', now + 1)
  return out
end
