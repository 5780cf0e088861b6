-- Record how many processes a run could use, so that an autoscaler can read the sum as the length
-- of a list: that is what KEDA looks at.
--
-- KEYS[1] wanted  hash, run -> processes  KEYS[2] list of as many elements as all runs want
-- ARGV[1] run id  ARGV[2] processes  ARGV[3] the longest that the list becomes

if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
local sum = 0
for _, wanted in ipairs(redis.call('HVALS', KEYS[1])) do
  sum = sum + tonumber(wanted)
end
sum = math.min(sum, tonumber(ARGV[3]))
local length = redis.call('LLEN', KEYS[2])
for _ = length + 1, sum do
  redis.call('LPUSH', KEYS[2], '1')
end
if sum == 0 then
  redis.call('DEL', KEYS[2])
elseif length > sum then
  redis.call('LTRIM', KEYS[2], 0, sum - 1)
end
return sum
