-- Copy what lasts of one pipeline, all in one step: the copies are of one moment, whatever is committed meanwhile. They
-- are read at leisure, and go by themselves if the reader dies.
-- KEYS: for each value that is copied its key and the key of its copy.  ARGV: for how many milliseconds a copy is kept.
-- Returns which of them there are: the number of each pair.
local there = {}
for i = 1, #KEYS, 2 do
  if redis.call('COPY', KEYS[i], KEYS[i + 1], 'REPLACE') == 1 then
    redis.call('PEXPIRE', KEYS[i + 1], ARGV[1])
    there[#there + 1] = (i + 1) / 2
  end
end
return there
