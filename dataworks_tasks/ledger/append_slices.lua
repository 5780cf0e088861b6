-- Append slices to those planned so far.
--
-- KEYS[1] record  KEYS[2...] the hashes that hold the new slices
-- ARGV[1] number of the first  ARGV[2] documents planned with them  ARGV[3] slices per hash
-- ARGV[4] number of collections that follow, each with its name and its documents of ARGV[2]
-- ARGV[5...] those, then the slices
-- Returns 1, or 0 when the first is not the next one: another producer plans this run too.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local first = tonumber(ARGV[1])
if tonumber(redis.call('HGET', KEYS[1], 'planned')) ~= first or
    redis.call('HEXISTS', KEYS[1], 'total') == 1 then
  return 0
end
local per_key = tonumber(ARGV[3])
local first_key = math.floor(first / per_key)
local collections = tonumber(ARGV[4])
local begin = 5 + 2 * collections
for position = begin, #ARGV do
  local number = first + position - begin
  local key = KEYS[2 + math.floor(number / per_key) - first_key]
  redis.call('HSET', key, string.format('%.0f', number), ARGV[position])
end
redis.call('HSET', KEYS[1], 'last_slice', ARGV[#ARGV])
redis.call('HINCRBY', KEYS[1], 'planned', #ARGV - begin + 1)
redis.call('HINCRBY', KEYS[1], 'expected', ARGV[2])
for position = 5, begin - 1, 2 do
  redis.call('HINCRBY', KEYS[1], 'expected:' .. ARGV[position], ARGV[position + 1])
end
return 1
