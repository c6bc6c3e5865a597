-- Add to the recording: a block of turns, which are deleted from the recorded turns, and after it a snapshot; then
-- delete the oldest items beyond the bounds.
-- KEYS: recorded turns, recording, state of the recording.
-- ARGV: the id of the first turn of the block ('': no block), of its last, the block, the number of its entries, the
-- version and the epoch to which it leads; a snapshot ('': none), its time (milliseconds) and its form; the most bytes
-- of the recording, the oldest time that is kept (milliseconds).
-- Returns 1; or 0, and changes nothing, if another process has packed these turns.
local function add(kind, data)
  local since = redis.call('HGET', KEYS[3], 'snapshot') or ''
  redis.call('HINCRBY', KEYS[3], 'bytes', #data)
  redis.call('HSET', KEYS[3], 'version', ARGV[5], 'epoch', ARGV[6])
  return redis.call('XADD', KEYS[2], '*', 'k', kind, 's', since, 'd', data)
end
if ARGV[1] ~= '' then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if not first or first[1] ~= ARGV[1] then
    return 0
  end
  add('b', ARGV[3])
  redis.call('HINCRBY', KEYS[3], 'entries', ARGV[4])
  redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])
  redis.call('XDEL', KEYS[1], ARGV[2]) -- XTRIM keeps this one
end
if ARGV[7] ~= '' then
  local id = add('s', ARGV[7])
  redis.call('HSET', KEYS[3], 'snapshot', id, 'taken', ARGV[8], 'form', ARGV[9], 'entries', 0)
end
while true do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local bytes = tonumber(redis.call('HGET', KEYS[3], 'bytes') or 0)
  if not oldest or (bytes <= tonumber(ARGV[10]) and tonumber(string.match(oldest[1], '^%d+')) >= tonumber(ARGV[11])) then
    return 1
  end
  redis.call('XDEL', KEYS[2], oldest[1])
  redis.call('HINCRBY', KEYS[3], 'bytes', -#oldest[2][6])
end
