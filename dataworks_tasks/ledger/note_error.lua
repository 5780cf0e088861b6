-- Record the latest error of a run that is on record; create no record.
--
-- KEYS[1] record
-- ARGV[1] error

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'error', ARGV[1], 'error_at', now[1] .. '.' .. string.format('%06d', now[2]))
return 1
