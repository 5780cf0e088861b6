-- Add [start, stop) to the acknowledged ranges; merge its neighbors; count only what is new.
--
-- KEYS[1] acknowledged   sorted set of "start:stop", disjoint and never touching, scored by start
-- KEYS[2] record         hash; total is set once every range is known
-- KEYS[3] counters       hash
-- KEYS[4] failures       hash, document key -> JSON
-- KEYS[5] failed_ranges  hash, "start:stop" -> the counters that range added
-- KEYS[6] workers        hash, worker name -> JSON
-- KEYS[7] parts          hash of partly completed slices, see checkpoint_slice.lua; none in generation runs
-- KEYS[8...] slices      the hashes that hold slices start to stop - 1; none in a generation run
-- ARGV[1] start  ARGV[2] stop  ARGV[3] counters as JSON  ARGV[4] worker name or ""
-- ARGV[5] worker report  ARGV[6] slices per hash  ARGV[7] the slice that was worked on or ""
-- ARGV[8...] failures: key, JSON, key, JSON, ...
-- Returns {newly acknowledged, 1 if this closed the last gap}.
--
-- Each call of the server, and above all each write, which also goes to the append-only file, costs
-- more than the Lua around it, so there are as few as possible.

local record = redis.call('HMGET', KEYS[2], 'state', 'total', 'acknowledged')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local start, stop = tonumber(ARGV[1]), tonumber(ARGV[2])

local function text(number)
  return string.format('%.0f', number)
end

if ARGV[7] ~= '' and redis.call('HGET', KEYS[8], ARGV[1]) ~= ARGV[7] then
  -- Done already; or Redis lost its last moments and the slice was planned again, with other bounds.
  return {0, 0}
end

local merged_start, merged_stop, covered = start, stop, 0
local absorbed = {}

-- From the last interval that begins within the range, or right after it, down to the first that
-- does not reach it. Most ranges have at most two neighbors; a wide one is read in pages.
local function absorb_page(below, limit)
  local page = redis.call('ZREVRANGEBYSCORE', KEYS[1], below, '-inf', 'LIMIT', 0, limit)
  local from, to
  for _, member in ipairs(page) do
    from, to = string.match(member, '^(%d+):(%d+)$')
    from, to = tonumber(from), tonumber(to)
    if to < start then
      return nil
    end
    covered = covered + math.max(0, math.min(to, stop) - math.max(from, start))
    merged_start, merged_stop = math.min(merged_start, from), math.max(merged_stop, to)
    absorbed[#absorbed + 1] = member
    if from <= start then
      return nil
    end
  end
  return #page == limit and '(' .. text(from) or nil
end

local below = absorb_page(ARGV[2], 2)
while below do
  below = absorb_page(below, 1000)
end
for first = 1, #absorbed, 1000 do
  redis.call('ZREM', KEYS[1], unpack(absorbed, first, math.min(first + 999, #absorbed)))
end
merged_start = text(merged_start)
redis.call('ZADD', KEYS[1], merged_start, merged_start .. ':' .. text(merged_stop))

local size = stop - start
local newly = size - covered
local now = redis.call('TIME')
local acknowledged = tonumber(record[3]) + newly
redis.call('HSET', KEYS[2], 'acknowledged', text(acknowledged),
  'last_acknowledged_at', now[1] .. '.' .. string.format('%06d', now[2]))
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[6], ARGV[4], ARGV[5])
end
if newly == 0 then
  return {0, 0}
end

local added, names = {}, {}
for name, value in pairs(cjson.decode(ARGV[3])) do
  local share = math.floor(value * newly / size)
  if share ~= 0 then
    added[name] = share
    names[#names + 1] = name
  end
end
if names[1] then
  local counters = {}
  for position, before in ipairs(redis.call('HMGET', KEYS[3], unpack(names))) do
    local name = names[position]
    counters[2 * position - 1] = name
    counters[2 * position] = text((tonumber(before) or 0) + added[name])
  end
  redis.call('HSET', KEYS[3], unpack(counters))
end

local has_failures = #ARGV >= 9
local parts = ARGV[7] ~= '' and redis.call('HGET', KEYS[7], ARGV[1])
if parts then
  -- A retry takes back the counters of the complete slice, and reads all of it again.
  for name, value in pairs(cjson.decode(parts)) do
    added[name] = (added[name] or 0) + value
  end
  has_failures = has_failures or redis.call('HEXISTS', KEYS[7], text(start) .. ':failed') == 1
  redis.call('HSET', KEYS[8], text(start), redis.call('HGET', KEYS[7], text(start) .. ':whole'))
  redis.call('HDEL', KEYS[7], text(start), text(start) .. ':whole', text(start) .. ':failed')
end
if has_failures then
  for position = 8, #ARGV, 2 do
    redis.call('HSETNX', KEYS[4], ARGV[position], ARGV[position + 1])
  end
  redis.call('HSET', KEYS[5], text(start) .. ':' .. text(stop), cjson.encode(added))
elseif #KEYS >= 8 then
  -- A slice with failures stays on record: retry reads it again.
  local per_key = tonumber(ARGV[6])
  local first_key = math.floor(start / per_key)
  for number = start, stop - 1 do
    redis.call('HDEL', KEYS[8 + math.floor(number / per_key) - first_key], text(number))
  end
end

local total = record[2] and tonumber(record[2])
local closed = (total == acknowledged) and 1 or 0
return {newly, closed}
