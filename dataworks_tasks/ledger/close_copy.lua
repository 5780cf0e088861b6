-- Every slice of the copy of a run that follows its source is planned; key windows come after them.
--
-- KEYS[1] record
-- ARGV[1] number of slices  ARGV[2] the last slice that the planner added, or ""
-- ARGV[3] state while planning  ARGV[4] state after it
-- ARGV[5] seconds in which a write may arrive after the end of its claim
-- Returns 1; the first number counts. -1 if the planner's slices are not the
-- recorded ones: Redis lost the last of them, or another planner added more.

local record = redis.call('HMGET', KEYS[1], 'state', 'planned', 'last_slice', 'copy_slices')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if not record[4] then
  if record[2] ~= ARGV[1] or (record[3] or '') ~= ARGV[2] then
    return -1
  end
  redis.call('HSET', KEYS[1], 'copy_slices', ARGV[1])
end
redis.call('HSET', KEYS[1], 'late_seconds', ARGV[5])
if record[1] == ARGV[3] then
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
end
return 1
