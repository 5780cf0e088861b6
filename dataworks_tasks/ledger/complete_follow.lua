-- Close the plan of a run that follows its source, and record the run as complete, in one step.
--
-- KEYS[1] record  KEYS[2] hot  KEYS[3] deferred
-- ARGV[1] name of the place  ARGV[2] its bytes  ARGV[3] state now  ARGV[4] state then
-- Returns 1; 0 when there is anything left to reconcile, or the place has moved.

local record = redis.call('HMGET', KEYS[1], 'state', 'planned', 'acknowledged', ARGV[1])
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if record[1] == ARGV[4] then
  return 1
end
if record[1] ~= ARGV[3] or record[2] ~= record[3] or record[4] ~= ARGV[2] or
    redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
  return 0
end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'total', record[2],
  'finished_at', time[1] .. '.' .. string.format('%06d', time[2]))
redis.call('HDEL', KEYS[1], 'error', 'last_slice')
return 1
