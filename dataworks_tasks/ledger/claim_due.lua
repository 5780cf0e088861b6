-- Claim what is due, so that only one worker takes care of it.
--
-- KEYS[1] due  sorted set of "<run> <step>", scored by when a worker looks after it
-- ARGV[1] how many at most  ARGV[2] seconds after which it is due again, unless a lease moves it on
-- Returns the members.

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now),
  'LIMIT', 0, tonumber(ARGV[1]))
for _, member in ipairs(found) do
  if string.sub(member, -5) == ' wake' then
    redis.call('ZREM', KEYS[1], member)
  else
    redis.call('ZADD', KEYS[1], string.format('%.6f', now + tonumber(ARGV[2])), member)
  end
end
return found
