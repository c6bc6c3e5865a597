-- Before other scripts (see bot/store/scripts.py): with which history does this server go on?
--
-- A server that was promoted, or started anew, has another replication id (Redis: INFO replication, master_replid).
-- What was written last before that may have been lost, although it was acknowledged: then builds may be there that the
-- store knows nothing of, and deliveries are not there that were answered 202. So from then on writes count as
-- unacknowledged.
--
-- goes_on(at, now, unacknowledged_ms), with meta at KEYS[at], returns
--   when it changed last (milliseconds, 0: never),
--   whether a replica has to confirm what must not be lost: one follows, or did within the last minute,
--   whether any ever followed: only then a former master may go on beside this one,
--   whether writes count as unacknowledged: for `unacknowledged_ms` after a change, and after a backup was restored
--   until the runs that it holds are over.
-- Without INFO (an ACL) none of it can be known.
local ALONE_AFTER, NOTED_EVERY, LOOK_AGAIN_AFTER = 60000, 10000, 12000
local function goes_on(at, now, unacknowledged_ms)
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then
    info = ''
  end
  local id = string.match(info, 'master_replid:(%x+)')
  local known = redis.call('HMGET', KEYS[at], 'history', 'changed', 'followed', 'unacknowledged_until')
  local changed, followed = tonumber(known[2]) or 0, tonumber(known[3]) or 0
  if id and known[1] ~= id then
    redis.call('HSET', KEYS[at], 'history', id)
    if known[1] then
      changed = now
      redis.call('HSET', KEYS[at], 'changed', now, 'look', now)
    end
  end
  local _, online = string.gsub(info, 'state=online', '')
  if online > 0 and now - followed > NOTED_EVERY then
    followed = now
    redis.call('HSET', KEYS[at], 'followed', now)
  end
  local lacks = changed > 0 and (now - changed < tonumber(unacknowledged_ms or 0) or now < (tonumber(known[4]) or 0))
  return changed, online > 0 or now - followed < ALONE_AFTER, followed > 0, lacks
end
