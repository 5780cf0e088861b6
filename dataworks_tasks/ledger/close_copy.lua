-- Every slice of the copy of a run that follows its source is planned; key windows come after them.
--
-- KEYS[1] record
-- ARGV[1] number of slices  ARGV[2] state while planning  ARGV[3] state after it
-- ARGV[4] seconds in which a write may arrive after the end of its claim
-- Returns 1; the first number counts.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
redis.call('HSETNX', KEYS[1], 'copy_slices', ARGV[1])
redis.call('HSET', KEYS[1], 'late_seconds', ARGV[4])
if redis.call('HGET', KEYS[1], 'state') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'state', ARGV[3])
end
return 1
