-- Add a sample to a run's history, unless the latest one is recent. A full history drops every
-- second sample and takes new ones half as often, so its size has a bound however long the run is.
--
-- KEYS[1] record    hash; history_step: seconds between two samples; follow_lag, as of follow_seen
-- KEYS[2] counters  hash
-- KEYS[3] failures  hash
-- KEYS[4] history   list of "<moment> <documents> <bytes> <failures>[ <lag>]"
-- ARGV[1] seconds between two samples at first  ARGV[2] most samples
-- Returns 1 if a sample was added.

local record = redis.call('HMGET', KEYS[1], 'state', 'history_step', 'follow_lag', 'follow_seen')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local step = tonumber(record[2]) or tonumber(ARGV[1])
local latest = redis.call('LINDEX', KEYS[4], -1)
if latest and now - tonumber(string.match(latest, '^[%d.]+')) < step then
  return 0
end

local counters = redis.call('HMGET', KEYS[2], 'documents', 'bytes')
local sample = string.format('%.3f', now) .. ' ' .. (counters[1] or '0') .. ' '
  .. (counters[2] or '0') .. ' ' .. redis.call('HLEN', KEYS[3])
if record[3] then
  -- While nobody reads the source, the run falls behind with every second.
  local silent = now - (tonumber(record[4]) or now)
  local lag = tonumber(record[3]) + (silent > 10 and silent or 0)
  sample = sample .. ' ' .. string.format('%.1f', lag)
end
if redis.call('RPUSH', KEYS[4], sample) >= tonumber(ARGV[2]) then
  local samples, kept = redis.call('LRANGE', KEYS[4], 0, -1), {}
  for position = 1, #samples, 2 do
    kept[#kept + 1] = samples[position]
  end
  redis.call('DEL', KEYS[4])
  redis.call('RPUSH', KEYS[4], unpack(kept))
  redis.call('HSET', KEYS[1], 'history_step', string.format('%.3f', step * 2))
end
return 1
