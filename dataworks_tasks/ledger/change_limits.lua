-- Replace the limits of a run that is not over.
--
-- KEYS[1] record
-- ARGV[1] limits as JSON  ARGV[2...] states in which a run is over
-- Returns 1 if they were replaced, else 0.

local state = redis.call('HGET', KEYS[1], 'state')
if not state then
  return redis.error_reply('UNKNOWNRUN no such run')
end
for position = 2, #ARGV do
  if ARGV[position] == state then
    return 0
  end
end
redis.call('HSET', KEYS[1], 'limits', ARGV[1])
return 1
