-- Copy the values of one pipeline for a backup, all in one step, so that the copies are consistent whatever is
-- committed later. They are read afterwards, and expire if the reader dies.
-- KEYS: for each value its key and the key of its copy.  ARGV: the lifetime of a copy in milliseconds.
-- Returns the numbers of the pairs whose value exists.
local there = {}
for i = 1, #KEYS, 2 do
  if redis.call('COPY', KEYS[i], KEYS[i + 1], 'REPLACE') == 1 then
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[1])
    there[#there + 1] = (i + 1) / 2
  end
end
return there
