-- Acquire, extend or release the lease on finishing a run, and record its progress.
--
-- KEYS[1] record  finish_holder, finish_until (seconds of Redis' clock), finish_position, finishing
-- ARGV[1] holder  ARGV[2] seconds it is held from now; 0 gives it back
-- ARGV[3] 1 if what follows is to be kept  ARGV[4] position or ""  ARGV[5] text for people or ""
-- Returns {1 if the caller held or holds it, the position}.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local holder = redis.call('HGET', KEYS[1], 'finish_holder')
if holder and holder ~= ARGV[1] and tonumber(redis.call('HGET', KEYS[1], 'finish_until')) > now then
  return {0, ''}
end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'finish_position', ARGV[4], 'finishing', ARGV[5])
end
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], 'finish_holder', 'finish_until')
else
  local ends = string.format('%.3f', now + tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'finish_holder', ARGV[1], 'finish_until', ends)
end
return {1, redis.call('HGET', KEYS[1], 'finish_position') or ''}
