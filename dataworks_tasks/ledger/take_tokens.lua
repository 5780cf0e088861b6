-- Take tokens from buckets that the whole fleet shares, and find the rate that a server takes.
--
-- KEYS[1] budget  hash: "<bucket>:tokens", "<bucket>:at"; of the controller "rate", "peak",
--                 "searching", "cut_at", "grown_at", and since the last cut "asked" and "refused"
--                 tokens. Times are microseconds of the server's clock.
-- ARGV[1] longest wait in milliseconds
-- ARGV[2] tokens that the server refused to the caller since it last asked
-- ARGV[3] tokens per second that the server took from the caller lately
-- then for each bucket: name, limit per second (0: none), 1: controlled, wanted, correction
-- Returns {1 granted or 0 refused, milliseconds to wait, the controller's rate (0: none yet)}.
--
-- A bucket runs into debt: the caller waits until those before it are paid for, so writes start one
-- after the other at the rate. The controller sleeps until somebody was throttled. Then it starts
-- at that caller's own rate, grows fourfold every second until the next throttling, and from there
-- on adds a little every second and cuts when throttled, once a second at most: by a fixed factor,
-- or by the share that was refused where that is small. A server that refuses one request in twenty
-- whatever the rate is (a hot partition does) must not bring the fleet to a standstill.

local BURST_SECONDS = 0.1
local CUT_EVERY_SECONDS = 1
local CUT_WHILE_SEARCHING, CUT = 0.7, 0.85
local SMALL_SHARE = 0.1
local SEARCH_FACTOR_PER_SECOND = 4
local GROWTH_PER_SECOND = 0.03
local LONGEST_GROWTH_SECONDS = 1
local LOWEST_RATE = 1

local budget = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local longest_wait, throttled = tonumber(ARGV[1]), tonumber(ARGV[2]) > 0

local function get(field)
  local value = redis.call('HGET', budget, field)
  return value and tonumber(value)
end

local function set(field, value)
  redis.call('HSET', budget, field, string.format('%.6f', value))
end

local function seconds_since(moment)
  return math.max(0, now - (moment or now)) / 1000000
end

local function start_controller(rate)
  rate = math.max(LOWEST_RATE, rate)
  set('rate', rate)
  set('peak', rate)
  set('searching', 1)
  set('cut_at', now)
  set('grown_at', now)
  set('asked', 0)
  set('refused', 0)
  return rate
end

local function cut(rate)
  local factor = get('searching') == 1 and CUT_WHILE_SEARCHING or CUT
  local refused = get('refused') or 0
  local share = refused / math.max(refused, get('asked') or 0)
  set('peak', rate)
  set('asked', 0)
  set('refused', 0)
  rate = math.max(LOWEST_RATE, rate * (share < SMALL_SHARE and 1 - share or factor))
  set('rate', rate)
  set('searching', 0)
  set('cut_at', now)
  return rate
end

-- Only time in which the bucket held somebody back may raise the rate: an idle fleet proves nothing.
local function grow(rate, in_debt)
  local elapsed = math.min(LONGEST_GROWTH_SECONDS, seconds_since(get('grown_at')))
  set('grown_at', now)
  if not in_debt then
    return rate
  end
  if get('searching') == 1 then
    rate = rate * SEARCH_FACTOR_PER_SECOND ^ elapsed
  else
    rate = rate + get('peak') * GROWTH_PER_SECOND * elapsed
  end
  set('rate', rate)
  return rate
end

local function controlled_rate(tokens, wanted)
  local rate = get('rate')
  if not rate then
    return throttled and start_controller(math.max(wanted, tonumber(ARGV[3]))) or nil
  end
  set('refused', (get('refused') or 0) + tonumber(ARGV[2]))
  if throttled and seconds_since(get('cut_at')) >= CUT_EVERY_SECONDS then
    return cut(rate)
  end
  return grow(rate, tokens < 0)
end

local wait, shown_rate, taken = 0, 0, {}
for first = 4, #ARGV, 5 do
  local name, limit = ARGV[first], tonumber(ARGV[first + 1])
  local wanted, correction = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  local tokens = (get(name .. ':tokens') or 0) - correction
  local rate = limit > 0 and limit or nil
  if ARGV[first + 2] == '1' then
    local found = controlled_rate(tokens, wanted)
    shown_rate = found or 0
    if found then
      rate = rate and math.min(rate, found) or found
    end
  end
  if rate then
    local refilled = tokens + seconds_since(get(name .. ':at')) * rate
    tokens = math.min(rate * BURST_SECONDS, refilled)
    wait = math.max(wait, -tokens / rate * 1000)
    set(name .. ':tokens', tokens)
    set(name .. ':at', now)
    taken[#taken + 1] = {name, tokens - wanted, ARGV[first + 2] == '1' and wanted or 0}
  end
end

wait = math.ceil(wait)
local granted = wait <= longest_wait and 1 or 0
if granted == 1 then
  for _, bucket in ipairs(taken) do
    set(bucket[1] .. ':tokens', bucket[2])
    if shown_rate > 0 then
      set('asked', (get('asked') or 0) + bucket[3])
    end
  end
end
return {granted, wait, string.format('%.6f', shown_rate)}
