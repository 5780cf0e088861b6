-- Record the latest error of a run that is on record; create no record. Why a run was paused stays
-- until it continues, whatever its reader meets meanwhile.
--
-- KEYS[1] record
-- ARGV[1] error

local record = redis.call('HMGET', KEYS[1], 'state', 'error')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if record[1] == 'paused' and record[2] then
  return 0
end
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'error', ARGV[1], 'error_at', now[1] .. '.' .. string.format('%06d', now[2]))
return 1
