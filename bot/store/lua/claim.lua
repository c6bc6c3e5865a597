-- Take effects that are due. Needs claiming.lua, which says what is given and returned, and history.lua.
-- KEYS: due, claimed, outbox, tries, meta, how the keys of notes begin.
-- ARGV: claim_ms, count, limit, notes, note_ms, unacknowledged_ms.
local time = redis.call('TIME')
return claim_due(1, 1, time[1] * 1000 + math.floor(time[2] / 1000))
