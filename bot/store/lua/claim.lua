-- Claim effects that are due. Needs claiming.lua, which explains arguments and result, and history.lua.
-- KEYS: due, claimed, outbox, tries, meta, the prefix of the keys of post notes.
-- ARGV: claim_ms, count, limit, notes, note_ms, unacknowledged_ms.
local time = redis.call('TIME')
return claim_due(1, 1, time[1] * 1000 + math.floor(time[2] / 1000))
