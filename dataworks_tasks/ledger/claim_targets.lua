-- Make a run the one that writes into some collections, unless another one that has not ended, or
-- one that is being started, writes into one of them.
--
-- KEYS[1] targets  hash, collection -> "<run> <seconds of Redis' clock>"
-- ARGV[1] run id  ARGV[2] seconds that starting a run may take  ARGV[3] "1": whoever else writes
-- ARGV[4..] collections
-- Returns nothing, or the collection and the run that writes into it.

local time = redis.call('TIME')
local now = tonumber(time[1])
if ARGV[3] ~= '1' then
  for index = 4, #ARGV do
    local current = redis.call('HGET', KEYS[1], ARGV[index])
    local run, since = string.match(current or '', '^(%S+) (%d+)$')
    if run and run ~= ARGV[1] then
      local state = redis.call('HGET', 'dataworks:{' .. run .. '}:record', 'state')
      local starting = not state and now - tonumber(since) < tonumber(ARGV[2])
      if starting or state == 'planning' or state == 'running' or state == 'paused' then
        return {ARGV[index], run}
      end
    end
  end
end
for index = 4, #ARGV do
  redis.call('HSET', KEYS[1], ARGV[index], ARGV[1] .. ' ' .. string.format('%.0f', now))
end
return {}
