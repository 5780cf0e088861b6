-- Every range is known.
--
-- KEYS[1] record
-- ARGV[1] total  ARGV[2] state while planning  ARGV[3] state after it
-- Returns 1 if everything is acknowledged already and this call is the one that noticed.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if redis.call('HSETNX', KEYS[1], 'total', ARGV[1]) == 0 then
  return 0
end
redis.call('HDEL', KEYS[1], 'last_slice')
if redis.call('HGET', KEYS[1], 'state') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'state', ARGV[3])
end
return redis.call('HGET', KEYS[1], 'acknowledged') == ARGV[1] and 1 or 0
