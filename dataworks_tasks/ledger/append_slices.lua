-- Append slices to those planned so far.
--
-- KEYS[1] record  KEYS[2] string: two bytes for each slice, the number of its collection
-- KEYS[3...] the hashes that hold the new slices
-- ARGV[1] number of the first  ARGV[2] the slice before it or ""  ARGV[3] documents planned with them
-- ARGV[4] slices per hash
-- ARGV[5] number of collections that follow, each with its name and its documents of ARGV[3]
-- ARGV[6] what to add to KEYS[2], or "" for a run of one collection
-- ARGV[7...] the collections, then the slices
-- Returns 1, or 0 when the plan does not end before the first: another planner adds to it too,
-- closed it (key windows may come after a closed copy), or Redis lost the last slices.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local first = tonumber(ARGV[1])
local plan = redis.call('HMGET', KEYS[1], 'planned', 'last_slice', 'total', 'copy_slices')
if tonumber(plan[1]) ~= first or (plan[2] or '') ~= ARGV[2] or plan[3] or plan[4] then
  return 0
end
local per_key = tonumber(ARGV[4])
local first_key = math.floor(first / per_key)
local collections = tonumber(ARGV[5])
local begin = 7 + 2 * collections
for position = begin, #ARGV do
  local number = first + position - begin
  local key = KEYS[3 + math.floor(number / per_key) - first_key]
  redis.call('HSET', key, string.format('%.0f', number), ARGV[position])
end
redis.call('HSET', KEYS[1], 'last_slice', ARGV[#ARGV])
redis.call('HINCRBY', KEYS[1], 'planned', #ARGV - begin + 1)
redis.call('HINCRBY', KEYS[1], 'expected', ARGV[3])
for position = 7, begin - 1, 2 do
  redis.call('HINCRBY', KEYS[1], 'expected:' .. ARGV[position], ARGV[position + 1])
end
if ARGV[6] ~= '' and redis.call('STRLEN', KEYS[2]) == 2 * first then
  redis.call('APPEND', KEYS[2], ARGV[6])
end
return 1
