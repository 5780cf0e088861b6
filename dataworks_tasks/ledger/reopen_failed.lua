-- Make every acknowledged range that holds failures a gap again, and forget its failures.
--
-- KEYS[1] acknowledged  KEYS[2] record  KEYS[3] counters  KEYS[4] failures  KEYS[5] failed_ranges
-- KEYS[6] due  sorted set of "<run> <step>", scored by when a worker looks after it  KEYS[7] budget
-- ARGV[1] state while planning  ARGV[2] state after it  ARGV[3...] members of due
-- Returns how many ranges were reopened. The run is active afterwards: a complete run with
-- gaps must never be visible, however briefly.

if redis.call('HEXISTS', KEYS[2], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local function text(number)
  return string.format('%.0f', number)
end

local function bounds(member)
  local from, to = string.match(member, '^(%d+):(%d+)$')
  return tonumber(from), tonumber(to)
end

local function put(from, to)
  if from < to then
    redis.call('ZADD', KEYS[1], text(from), text(from) .. ':' .. text(to))
  end
end

-- Take [start, stop) out of the interval that begins at or before it; return how much was there.
local function cut(start, stop)
  local removed = 0
  local touching = redis.call('ZREVRANGEBYSCORE', KEYS[1], text(start), '-inf', 'LIMIT', 0, 1)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. text(start), '(' .. text(stop))) do
    touching[#touching + 1] = member
  end
  for _, member in ipairs(touching) do
    local from, to = bounds(member)
    local overlap = math.min(to, stop) - math.max(from, start)
    if overlap > 0 then
      redis.call('ZREM', KEYS[1], member)
      put(from, start)
      put(stop, to)
      removed = removed + overlap
    end
  end
  return removed
end

local reopened = 0
local entries = redis.call('HGETALL', KEYS[5])
for position = 1, #entries, 2 do
  local start, stop = bounds(entries[position])
  local removed = cut(start, stop)
  redis.call('HINCRBY', KEYS[2], 'acknowledged', text(-removed))
  for name, value in pairs(cjson.decode(entries[position + 1])) do
    redis.call('HINCRBY', KEYS[3], name, text(-value))
  end
  reopened = reopened + 1
end
redis.call('DEL', KEYS[4], KEYS[5])
-- The finishing phase has to cover late documents too.
redis.call('HDEL', KEYS[2], 'finish_position', 'finishing')
local going = redis.call('HEXISTS', KEYS[2], 'total') == 1 and ARGV[2] or ARGV[1]
if redis.call('HGET', KEYS[2], 'state') ~= going then
  redis.call('HSET', KEYS[2], 'state', going)
  redis.call('HDEL', KEYS[2], 'finished_at', 'error')
  redis.call('DEL', KEYS[7])
end
for position = 3, #ARGV do
  redis.call('ZADD', KEYS[6], 'NX', '0', ARGV[position])
end
return reopened
