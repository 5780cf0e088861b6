-- Keep the flags of the command that started or continued a run; create no record.
--
-- KEYS[1] record
-- ARGV[1] flags as JSON

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
redis.call('HSET', KEYS[1], 'flags', ARGV[1])
return 1
