-- Acknowledge a key window and, in the same step, append what its second read found changed. Keys
-- that were not reconciled take the window's place, and anybody may claim it then.
--
-- KEYS[1] record       hash
-- KEYS[2] acknowledged sorted set of "start:stop", disjoint and never touching, scored by start
-- KEYS[3] counters     hash
-- KEYS[4] failures     hash, document key -> JSON
-- KEYS[5] workers      hash, worker name -> JSON
-- KEYS[6] claims       hash, see claim.lua
-- KEYS[7] hot          hash, key as BSON -> collection pair: keys to be reconciled again soon
-- KEYS[8] deferred     sorted set of windows by the time at which no late write can arrive any more
-- ARGV[1] number  ARGV[2] the window's bytes  ARGV[3] claim  ARGV[4] holder  ARGV[5] counters as JSON
-- ARGV[6] worker name or ""  ARGV[7] worker report  ARGV[8] seconds in which a late write may arrive
-- ARGV[9] 1 if a write of the holder has no answer  ARGV[10] key prefix of the slices
-- ARGV[11] slices per hash  ARGV[12] numbers of windows, hot keys (twice) and document keys that
-- follow, 1 if nothing was reconciled, because workers died of the window, and 1 if a rest is left
-- ARGV[13] the window of the rest, if there is one, then windows to append, then hot keys with their
-- pair, then keys whose failures are over, then failures: key, JSON, key, JSON, ...
-- Returns {newly acknowledged, 1 if this closed the last gap, 1 if its rest is the window now}.

local record = redis.call('HMGET', KEYS[1], 'state', 'total', 'acknowledged', 'planned')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local number, claim, per_key = tonumber(ARGV[1]), ARGV[3], tonumber(ARGV[11])

local function text(value)
  return string.format('%.0f', value)
end

local function slices_of(slice)
  return ARGV[10] .. text(math.floor(slice / per_key))
end

local held, owner = string.match(redis.call('HGET', KEYS[6], ARGV[1]) or '', '^(%d+)|[%d%.]+|(.*)$')
if held ~= claim or owner ~= ARGV[4] or record[1] == 'complete' or
    redis.call('HGET', slices_of(number), ARGV[1]) ~= ARGV[2] then
  return {0, 0, 0}
end

local counts = cjson.decode(ARGV[12])
local isolated, has_rest = counts[4] == 1, counts[5] == 1

-- Neighbors merge. Every window is a single number, so there are at most two.
local start, stop = number, number + 1
for _, member in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[2], text(stop), '-inf', 'LIMIT', 0, 2)) do
  local from, to = string.match(member, '^(%d+):(%d+)$')
  from, to = tonumber(from), tonumber(to)
  if to >= start and from <= stop then
    if from <= number and to > number then
      return {0, 0, 0}
    end
    if not has_rest then
      redis.call('ZREM', KEYS[2], member)
    end
    start, stop = math.min(start, from), math.max(stop, to)
  end
end
local position = 13
local acknowledged = tonumber(record[3])
if has_rest then
  redis.call('HSET', slices_of(number), ARGV[1], ARGV[position])
  position = position + 1
else
  redis.call('ZADD', KEYS[2], text(start), text(start) .. ':' .. text(stop))
  redis.call('HDEL', slices_of(number), ARGV[1])
  acknowledged = acknowledged + 1
end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('HSET', KEYS[1], 'acknowledged', text(acknowledged),
  'last_acknowledged_at', time[1] .. '.' .. string.format('%06d', time[2]))
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
if ARGV[6] ~= '' then
  redis.call('HSET', KEYS[5], ARGV[6], ARGV[7])
end
for name, value in pairs(cjson.decode(ARGV[5])) do
  if value ~= 0 then
    redis.call('HINCRBY', KEYS[3], name, text(value))
  end
end

local suspect = ARGV[9] == '1' or redis.call('HEXISTS', KEYS[6], ARGV[1] .. ':suspect') == 1
local planned = tonumber(record[4])
for _ = 1, counts[1] do
  redis.call('HSET', slices_of(planned), text(planned), ARGV[position])
  if isolated and suspect then
    redis.call('HSET', KEYS[6], text(planned) .. ':suspect', 1)
  end
  planned = planned + 1
  position = position + 1
end
local total = record[2] and tonumber(record[2])
if counts[1] > 0 then
  redis.call('HSET', KEYS[1], 'planned', text(planned))
  if total then
    total = total + counts[1]
    redis.call('HSET', KEYS[1], 'total', text(total))
  end
end
for _ = 1, counts[2] do
  redis.call('HSET', KEYS[7], ARGV[position], ARGV[position + 1])
  position = position + 2
end
for _ = 1, counts[3] do
  redis.call('HDEL', KEYS[4], ARGV[position])
  position = position + 1
end
for place = position, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[place], ARGV[place + 1])
end

local late = tonumber(ARGV[8])
if late > 0 and suspect and not isolated then
  redis.call('ZADD', KEYS[8], string.format('%.3f', now + late), ARGV[2])
end
redis.call('HDEL', KEYS[6], ARGV[1], ARGV[1] .. ':times', ARGV[1] .. ':suspect')
if has_rest then
  return {0, 0, 1}
end
local open = total == acknowledged and redis.call('ZCARD', KEYS[8]) == 0
return {1, open and 1 or 0, 0}
