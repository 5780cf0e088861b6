-- Take tokens from buckets that the whole fleet shares, and find the rate that a server takes.
--
-- KEYS[1] budget  hash: "<bucket>:tokens", "<bucket>:at"; of the controller "rate", "proven",
--                 "search", "cut_at", "grown_at", and of the last seconds, since "window_at",
--                 "accepted" and "refused" tokens. Times are microseconds of the server's clock.
-- ARGV[1] longest wait in milliseconds
-- ARGV[2] tokens that the server refused to the caller since it last asked
-- ARGV[3] tokens that it took from the caller since then
-- ARGV[4] tokens per second that it took from the caller lately
-- then for each bucket: name, limit per second (0: none), 1: controlled, wanted, correction
-- Returns {1 granted or 0 refused, milliseconds to wait, the controller's rate (0: none yet)}.
--
-- A bucket runs into debt: the caller waits until those before it are paid for, so writes start one
-- after the other at the rate. The controller sleeps until somebody was throttled, and starts at
-- that caller's own rate. It searches by growing fourfold a second, less after each throttling;
-- then it adds a little every second, more the longer nothing was refused. When throttled, once a
-- second at most, it cuts to a little below what the server took in the last seconds.
--
-- A server may refuse a share whatever the rate is (a hot partition does): less than two fifths
-- bring the rate no lower than a little below what the server took before, else the fleet would
-- come to a standstill cut by cut.

local BURST_SECONDS = 0.1
local CUT_EVERY_SECONDS = 1
local BELOW_ACCEPTED = 0.95
local LEAST_LEFT_BY_A_CUT = 0.25
local SMALL_SHARE = 0.4
local BELOW_PROVEN = 0.85
local SEARCH_FACTOR_PER_SECOND = 4
local SEARCH_LESS, SEARCH_LEAST = 0.25, 0.05
local GROWTH_PER_SECOND, GROWTH_PER_SECOND_SQUARED = 0.01, 0.001
local LONGEST_GROWTH_SECONDS = 1
local WINDOW_SECONDS = 4
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

-- What came of writes since "window_at", as the callers told it.
local function open_window(accepted, refused, since)
  set('accepted', accepted)
  set('refused', refused)
  set('window_at', since)
end

local function start_controller(rate)
  rate = math.max(LOWEST_RATE, rate)
  set('rate', rate)
  set('search', 1)
  set('cut_at', now)
  set('grown_at', now)
  open_window(0, 0, now)
  return rate
end

-- What the server took a second in the window that ends now, and the share that it refused.
local function measured()
  local accepted, refused = get('accepted'), get('refused')
  local share = refused > 0 and refused / (accepted + refused) or 0
  return accepted / math.max(seconds_since(get('window_at')), 0.001), share
end

local function count(accepted, refused)
  accepted, refused = get('accepted') + accepted, get('refused') + refused
  local since = get('window_at')
  if seconds_since(since) < WINDOW_SECONDS then
    return open_window(accepted, refused, since)
  end
  -- Half of it stays: a window never has too little to tell a rate by.
  open_window(accepted / 2, refused / 2, now - (now - since) / 2)
end

local function cut(rate, in_debt)
  local per_second, share = measured()
  local search = get('search') or 0
  -- Where the rate held the fleet back it may say more: it may have grown in the window.
  local taken = math.max(per_second, in_debt and rate * (1 - share) or 0)
  -- At first a rate may be too low: that of one worker which was refused nearly everything.
  if search < SEARCH_LEAST then
    taken = math.min(rate, taken)
  end
  local proven, least = per_second, rate * LEAST_LEFT_BY_A_CUT
  if share < SMALL_SHARE and search < SEARCH_LEAST then
    proven = math.max(taken, get('proven') or 0)
    least = math.min(rate, BELOW_PROVEN * proven)
  end
  rate = math.max(LOWEST_RATE, BELOW_ACCEPTED * taken, least)
  set('proven', proven)
  set('rate', rate)
  set('search', search * SEARCH_LESS)
  set('cut_at', now)
  set('grown_at', now)
  open_window(0, 0, now)
  return rate
end

-- Only time in which the bucket held somebody back may raise the rate: an idle fleet proves nothing.
local function grow(rate, in_debt)
  local elapsed = math.min(LONGEST_GROWTH_SECONDS, seconds_since(get('grown_at')))
  set('grown_at', now)
  if not in_debt then
    return rate
  end
  local search = get('search') or 0
  if search >= SEARCH_LEAST then
    rate = rate * SEARCH_FACTOR_PER_SECOND ^ (search * elapsed)
  else
    local growth = GROWTH_PER_SECOND + GROWTH_PER_SECOND_SQUARED * seconds_since(get('cut_at'))
    rate = rate + (get('proven') or rate) * growth * elapsed
  end
  set('rate', rate)
  return rate
end

local function controlled_rate(tokens, wanted)
  local rate = get('rate')
  if not rate then
    return throttled and start_controller(math.max(wanted, tonumber(ARGV[4]))) or nil
  end
  count(tonumber(ARGV[3]), tonumber(ARGV[2]))
  if throttled and seconds_since(get('cut_at')) >= CUT_EVERY_SECONDS then
    return cut(rate, tokens < 0)
  end
  return grow(rate, tokens < 0)
end

local wait, shown_rate, taken = 0, 0, {}
for first = 5, #ARGV, 5 do
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
    taken[#taken + 1] = {name, tokens - wanted}
  end
end

wait = math.ceil(wait)
local granted = wait <= longest_wait and 1 or 0
if granted == 1 then
  for _, bucket in ipairs(taken) do
    set(bucket[1] .. ':tokens', bucket[2])
  end
end
return {granted, wait, string.format('%.6f', shown_rate)}
