-- Claim a slice or key window for one holder; extend or release a claim.
--
-- KEYS[1] record  hash: epoch; suspect_until: until then every window is suspect, because Redis lost
--                 something; late_until: until then a write of a lost holder may still arrive
-- KEYS[2] claims  hash: "<number>" -> "<claim>|<until>|<holder>", "<number>:times" -> how often it was
--                 claimed, "<number>:suspect" -> 1 where a write may still arrive late
-- KEYS[3] slices  the hash that holds the slice
-- ARGV[1] number  ARGV[2] the slice's bytes  ARGV[3] holder  ARGV[4] seconds from now; 0 gives it back
-- ARGV[5] the largest epoch that the caller saw  ARGV[6] seconds in which a late write may arrive
-- ARGV[7] 1 if a write of the holder has no answer  ARGV[8] the claim that is extended; 0: a new one
-- Returns {claim (0: not yours), epoch, 1 if the slice is suspect}.
--
-- A claim is a time in milliseconds, so numbers grow even when Redis lost its last moments: a number
-- that repeats would be a transaction number that the target has executed already.

local record = redis.call('HMGET', KEYS[1], 'state', 'epoch', 'suspect_until')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local number, holder, seconds = ARGV[1], ARGV[3], tonumber(ARGV[4])
local epoch, seen, late = tonumber(record[2] or 0), tonumber(ARGV[5]), tonumber(ARGV[6])
local suspect_until = tonumber(record[3] or 0)

local function keep_suspect_until(moment)
  suspect_until = math.max(suspect_until, moment)
  redis.call('HSET', KEYS[1], 'suspect_until', string.format('%.3f', suspect_until))
end

if seen > epoch then
  -- Redis is older than what the caller saw: holders that it has forgotten may still write.
  epoch = seen
  keep_suspect_until(now + seconds + late)
end

local before = redis.call('HGET', KEYS[2], number)
local claim, ends, owner = 0, 0, ''
if before then
  claim, ends, owner = string.match(before, '^(%d+)|([%d%.]+)|(.*)$')
  claim, ends = tonumber(claim), tonumber(ends)
end

local function store(until_, who)
  local text = string.format('%.0f|%.3f|%s', claim, until_, who)
  redis.call('HSET', KEYS[2], number, text)
end

local function is_suspect()
  return redis.call('HEXISTS', KEYS[2], number .. ':suspect')
end

if ARGV[8] ~= '0' then
  if claim ~= tonumber(ARGV[8]) or owner ~= holder then
    return {0, epoch, 0}
  end
  if ARGV[7] == '1' then
    redis.call('HSET', KEYS[2], number .. ':suspect', 1)
  end
  if seconds == 0 and redis.call('HEXISTS', KEYS[3], number) == 0 then
    redis.call('HDEL', KEYS[2], number, number .. ':times', number .. ':suspect')
    return {claim, epoch, 0}
  elseif seconds == 0 then
    store(0, '')
  elseif ends <= now then
    return {0, epoch, 0}
  else
    store(now + seconds, holder)
  end
  return {claim, epoch, is_suspect()}
end

if redis.call('HGET', KEYS[3], number) ~= ARGV[2] then
  return {0, epoch, 0}
end
if owner ~= '' then
  if ends > now then
    return {0, epoch, 0}
  end
  -- The holder died or fell silent: its last write may still be on its way.
  redis.call('HSET', KEYS[2], number .. ':suspect', 1)
  local until_ = tonumber(redis.call('HGET', KEYS[1], 'late_until') or 0)
  redis.call('HSET', KEYS[1], 'late_until', string.format('%.3f', math.max(until_, now + late)))
end
if now < suspect_until then
  redis.call('HSET', KEYS[2], number .. ':suspect', 1)
end
epoch = epoch + 1
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
claim = math.max(claim + 1, math.floor(now * 1000))
redis.call('HINCRBY', KEYS[2], number .. ':times', 1)
store(now + seconds, holder)
return {claim, epoch, is_suspect()}
