-- Record a run, and make the steps of its driver due.
--
-- KEYS[1] record  hash  KEYS[2] spec  string  KEYS[3] runs  sorted set of run ids, scored by creation time
-- KEYS[4] due     sorted set of "<run> <step>", scored by when a worker looks after it
-- KEYS[5...]      the other keys of the run
-- ARGV[1] run id  ARGV[2] spec as JSON  ARGV[3] creation time  ARGV[4] number of the record's arguments
-- ARGV[5...] field, value, ... of the record, then the members of due
-- Returns 1 if the run is on record now, by this call or an earlier one, and 0 if another run has its id.

if redis.call('EXISTS', KEYS[1]) == 1 then
  -- A call is repeated when its answer was lost, and workers may have begun since.
  return redis.call('GET', KEYS[2]) == ARGV[2] and 1 or 0
end
-- A record may be lost alone. What is left of its run counts ranges that the new record does not.
for position = 5, #KEYS do
  redis.call('DEL', KEYS[position])
end
local fields = tonumber(ARGV[4])
redis.call('SET', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[1], unpack(ARGV, 5, 4 + fields))
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
for position = 5 + fields, #ARGV do
  redis.call('ZADD', KEYS[4], '0', ARGV[position])
end
return 1
