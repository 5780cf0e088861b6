-- Acquire, extend or release the lease of a step of a run's driver, and set when it is due again.
--
-- KEYS[1] record  KEYS[2] steps  hash: "<step>:holder", "<step>:until", "<step>:position"
-- KEYS[3] due     sorted set of "<run> <step>", scored by when a worker looks after it
-- ARGV[1] run id  ARGV[2] step  ARGV[3] holder  ARGV[4] seconds it is held from now; 0 gives it back
-- ARGV[5] 1 if the position that follows is to be kept  ARGV[6] position
-- ARGV[7] seconds until the step is due again; "" when it is done for good
-- Returns {1 if the caller held or holds it, the position}.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step, member = ARGV[2], ARGV[1] .. ' ' .. ARGV[2]
local lease = redis.call('HMGET', KEYS[2], step .. ':holder', step .. ':until', step .. ':position')
if lease[1] and lease[1] ~= ARGV[3] and tonumber(lease[2]) > now then
  return {0, ''}
end
local position = lease[3] or ''
if ARGV[5] == '1' then
  position = ARGV[6]
  redis.call('HSET', KEYS[2], step .. ':position', position)
end
if ARGV[4] == '0' then
  redis.call('HDEL', KEYS[2], step .. ':holder', step .. ':until')
else
  local ends = string.format('%.6f', now + tonumber(ARGV[4]))
  redis.call('HSET', KEYS[2], step .. ':holder', ARGV[3], step .. ':until', ends)
end
if ARGV[7] == '' then
  redis.call('ZREM', KEYS[3], member)
else
  redis.call('ZADD', KEYS[3], string.format('%.6f', now + tonumber(ARGV[7])), member)
end
return {1, position}
