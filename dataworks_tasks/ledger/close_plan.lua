-- Every range is known.
--
-- KEYS[1] record
-- ARGV[1] total  ARGV[2] the last slice that the planner added, or ""  ARGV[3] state while planning
-- ARGV[4] state after it
-- Returns 1 if everything is acknowledged already and this call is the one that noticed; -1 if the
-- planner's slices are not the recorded ones: Redis lost the last of them, or another planner added
-- more.

local record = redis.call('HMGET', KEYS[1], 'state', 'total', 'planned', 'last_slice', 'acknowledged')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if record[3] ~= ARGV[1] or (record[4] or '') ~= ARGV[2] then
  return -1
end
if record[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'total', ARGV[1])
if record[1] == ARGV[3] then
  redis.call('HSET', KEYS[1], 'state', ARGV[4])
end
return record[5] == ARGV[1] and 1 or 0
