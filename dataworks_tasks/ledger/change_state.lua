-- Set the state if it is one of those expected.
--
-- A run that continues after a stop starts with a fresh rate: the server may accept another one now.
--
-- KEYS[1] record  KEYS[2] budget
-- ARGV[1] new state  ARGV[2] error or ""  ARGV[3] 1 if the run ends with it  ARGV[4...] expected
-- Returns 1 if it was changed, else 0; a run with gaps is not finished.

local WORKING = {planning = true, running = true}
local FINISHED = {complete = true, different = true}
local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if FINISHED[ARGV[1]] then
  local counts = redis.call('HMGET', KEYS[1], 'total', 'acknowledged', 'planned')
  if not counts[1] or counts[1] ~= counts[2] or counts[1] ~= counts[3] then
    return 0
  end
end
for position = 4, #ARGV do
  if ARGV[position] == state then
    local now = redis.call('TIME')
    redis.call('HSET', KEYS[1], 'state', ARGV[1])
    if not WORKING[state] and WORKING[ARGV[1]] then
      redis.call('DEL', KEYS[2])
    end
    if ARGV[3] == '1' then
      redis.call('HSET', KEYS[1], 'finished_at', now[1] .. '.' .. string.format('%06d', now[2]))
    else
      redis.call('HDEL', KEYS[1], 'finished_at')
    end
    if ARGV[2] ~= '' then
      redis.call('HSET', KEYS[1], 'error', ARGV[2])
    else
      redis.call('HDEL', KEYS[1], 'error')
    end
    return 1
  end
end
return 0
