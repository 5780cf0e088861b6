-- Append key windows for what was found at a place, and move to the next place, in one step.
--
-- KEYS[1] record     hash: state, planned, total, and the place under the name of ARGV[1]
-- KEYS[2] hot        hash of keys to be reconciled again soon
-- KEYS[3] deferred   sorted set of windows that are reconciled again when no late write can arrive
-- ARGV[1] name of the place ("" for none)  ARGV[2] the place that the caller continued from
-- ARGV[3] the next place  ARGV[4] key prefix of the slices  ARGV[5] slices per hash
-- ARGV[6] how many windows follow, how many hot keys after them that they take over, and how many
--         more documents the run is expected to have
-- ARGV[7] how many deferred windows may be taken over that are due  ARGV[8...] those
-- Returns {windows appended, planned}; {-1, planned} when the caller is no longer at the place.
--
-- The bytes of the place are compared, not a number: Redis may have lost a moment, and another
-- reader may have appended other windows with the same numbers.

local record = redis.call('HMGET', KEYS[1], 'state', 'total', 'planned')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local planned, per_key = tonumber(record[3]), tonumber(ARGV[5])
if record[1] == 'complete' or record[1] == 'cancelled' then
  return {-1, planned}
end
if ARGV[1] ~= '' then
  if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
    return {-1, planned}
  end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end

local appended = 0
local function append(window)
  local number = string.format('%.0f', planned)
  redis.call('HSET', ARGV[4] .. string.format('%.0f', math.floor(planned / per_key)), number, window)
  planned = planned + 1
  appended = appended + 1
end

local counts = cjson.decode(ARGV[6])
for position = 8, 7 + counts[1] do
  append(ARGV[position])
end
for position = 8 + counts[1], 7 + counts[1] + counts[2] do
  redis.call('HDEL', KEYS[2], ARGV[position])
end
if tonumber(ARGV[7]) > 0 then
  local time = redis.call('TIME')
  local now = string.format('%.3f', time[1] + time[2] / 1000000)
  for _, window in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[7])) do
    append(window)
    redis.call('ZREM', KEYS[3], window)
  end
end
if counts[3] > 0 then
  redis.call('HINCRBY', KEYS[1], 'expected', string.format('%.0f', counts[3]))
end
if appended > 0 then
  redis.call('HSET', KEYS[1], 'planned', string.format('%.0f', planned))
  if record[2] then
    redis.call('HSET', KEYS[1], 'total', string.format('%.0f', tonumber(record[2]) + appended))
  end
end
return {appended, planned}
