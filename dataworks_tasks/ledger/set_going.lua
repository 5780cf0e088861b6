-- Start or continue a run: its state, what is still to be planned, and its driver, in one step.
--
-- KEYS[1] record  KEYS[2] due  sorted set of "<run> <step>", scored by when a worker looks after it
-- KEYS[3] budget
-- ARGV[1] 1 if the run has slices  ARGV[2] state while planning  ARGV[3] state after it
-- ARGV[4] number of expected states that follow  ARGV[5...] those, then the members of due
-- Returns 1 if the run is active now, by this call or an earlier one.

local record = redis.call('HMGET', KEYS[1], 'state', 'total', 'planned', 'copy_slices')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local expected = tonumber(ARGV[4])
local found = false
for position = 5, 4 + expected do
  found = found or ARGV[position] == record[1]
end
if not found then
  return 0
end
local total = record[2]
if ARGV[1] == '1' and total and total ~= record[3] then
  -- Redis lost slices that were planned, and a version before this one called the plan complete.
  redis.call('HDEL', KEYS[1], 'total')
  total = false
end
-- A run that follows its source is planned when its copy is; its plan stays open.
local going = (total or record[4]) and ARGV[3] or ARGV[2]
if record[1] ~= going then
  redis.call('HSET', KEYS[1], 'state', going)
  redis.call('HDEL', KEYS[1], 'finished_at', 'error')
  redis.call('DEL', KEYS[3]) -- it starts with a fresh rate: the server may take another one now
end
for position = 5 + expected, #ARGV do
  redis.call('ZADD', KEYS[2], 'NX', '0', ARGV[position])
end
return 1
