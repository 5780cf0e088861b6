-- Take tokens from a bucket that the whole fleet shares, running into debt where it is empty.
--
-- KEYS[1] budget   hash: "<bucket>:tokens", "<bucket>:at" (microseconds of the server's clock)
-- ARGV[1] bucket  ARGV[2] tokens per second  ARGV[3] most tokens it holds  ARGV[4] tokens wanted
-- Returns how many milliseconds the caller must wait before it spends them.

local now = redis.call('TIME')
local microseconds = now[1] * 1000000 + now[2]
local rate, burst, wanted = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tokens_field, at_field = ARGV[1] .. ':tokens', ARGV[1] .. ':at'
local tokens = tonumber(redis.call('HGET', KEYS[1], tokens_field) or '0')
local at = tonumber(redis.call('HGET', KEYS[1], at_field) or microseconds)

tokens = math.min(burst, tokens + math.max(0, microseconds - at) / 1000000 * rate) - wanted
redis.call('HSET', KEYS[1],
  tokens_field, string.format('%.6f', tokens), at_field, string.format('%.0f', microseconds))
if tokens >= 0 then
  return 0
end
return math.ceil(-tokens / rate * 1000)
