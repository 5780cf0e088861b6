-- Give a run its name, unless another run on record, or one that is being started, has it.
--
-- KEYS[1] names  hash, name -> "<run> <seconds of Redis' clock>"
-- ARGV[1] name  ARGV[2] run id  ARGV[3] seconds that starting a run may take
-- Returns the id of the run that has the name.

local time = redis.call('TIME')
local now = tonumber(time[1])
local current = redis.call('HGET', KEYS[1], ARGV[1])
if current then
  local run, since = string.match(current, '^(%S+) (%d+)$')
  local on_record = redis.call('EXISTS', 'dataworks:{' .. run .. '}:record') == 1
  if on_record or now - tonumber(since) < tonumber(ARGV[3]) then
    return run
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now))
return ARGV[2]
