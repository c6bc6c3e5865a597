-- A function for other scripts, loaded before them (see bot/store/scripts.py): find out whether another Redis took
-- over.
--
-- A server that was promoted, or restarted, has another replication id (Redis: INFO replication, master_replid). The
-- last writes before that may have been lost although they were acknowledged: then there may be builds that the store
-- does not have, and deliveries that were answered 202 may be missing. So from then on writes count as unacknowledged.
--
-- goes_on(at, now, unacknowledged_ms), with meta at KEYS[at], returns
--   when the replication id last changed (milliseconds, 0: never),
--   whether a replica must confirm important writes: one is connected, or was within the last minute,
--   whether any replica was ever connected: only then a former master may continue beside this server,
--   whether writes count as unacknowledged: for `unacknowledged_ms` after a change, and after a backup was restored
--   as long as `unacknowledged_until` says.
-- Where an ACL forbids INFO, no change and no replica is noticed.
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
