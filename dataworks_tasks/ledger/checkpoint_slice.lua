-- Count the completed part of a slice, and make its rest the slice.
--
-- KEYS[1] record    hash
-- KEYS[2] counters  hash
-- KEYS[3] failures  hash, document key -> JSON
-- KEYS[4] workers   hash, worker name -> JSON
-- KEYS[5] parts     hash, for each partly completed slice: "<number>" -> the counters of its parts,
--                   "<number>:whole" -> the slice as it was planned, "<number>:failed" -> 1
-- KEYS[6] slices    the hash that holds the slice
-- KEYS[7] attempts  hash, see send_window.lua: deaths are counted again from here
-- ARGV[1] number  ARGV[2] the slice that was worked on  ARGV[3] its rest  ARGV[4] counters as JSON
-- ARGV[5] worker name or ""  ARGV[6] worker report
-- ARGV[7...] failures: key, JSON, key, JSON, ...
-- Returns 1, or 0 when the slice has changed: another process works on it, too.

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local number = ARGV[1]
if redis.call('HGET', KEYS[6], number) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[6], number, ARGV[3])
redis.call('HSETNX', KEYS[5], number .. ':whole', ARGV[2])

redis.call('HDEL', KEYS[7], 'deaths:' .. number, 'tries:' .. number)

local before = redis.call('HGET', KEYS[5], number)
local counted = before and cjson.decode(before) or {}
for name, value in pairs(cjson.decode(ARGV[4])) do
  if value ~= 0 then
    redis.call('HINCRBY', KEYS[2], name, string.format('%.0f', value))
    counted[name] = (counted[name] or 0) + value
  end
end
redis.call('HSET', KEYS[5], number, cjson.encode(counted))

for position = 7, #ARGV, 2 do
  redis.call('HSETNX', KEYS[3], ARGV[position], ARGV[position + 1])
  redis.call('HSET', KEYS[5], number .. ':failed', 1)
end

local now = redis.call('TIME')
redis.call('HSET', KEYS[1], 'last_acknowledged_at', now[1] .. '.' .. string.format('%06d', now[2]))
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[5], ARGV[6])
end
return 1
