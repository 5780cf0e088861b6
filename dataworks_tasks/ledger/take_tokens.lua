-- Take tokens from buckets that the fleet shares, and find the rate that a server accepts.
--
-- KEYS[1] budget  hash: "<bucket>:tokens", "<bucket>:at" of each bucket; the controller's fields are
--                 listed below. Times are microseconds of the server's clock.
-- ARGV[1] longest wait in milliseconds
-- ARGV[2] the caller's epoch (0: none). Of its writes since it last asked that were granted in it:
-- ARGV[3] tokens that the server refused  ARGV[4] tokens that it accepted  ARGV[5] their number
-- ARGV[6] tokens of all its writes since it last asked, whenever they were granted
-- ARGV[7] 1: the caller was throttled and is not under the controller yet
-- ARGV[8] tokens per second that the server lately accepted from a caller with ARGV[7]
-- then for each bucket: name, limit per second (0: none), 1: controlled, wanted, correction
-- Returns {1 granted or 0 refused, milliseconds to wait, the controller's rate (0: none), epoch}.
--
-- A bucket can run into debt: the caller waits until the earlier tokens are paid for, so writes
-- start one after the other at the rate.
--
-- The controller sleeps until a caller was throttled. From then on time is cut into epochs of a
-- constant rate (at first: no rate, it only observes), and each epoch is judged by the share of its
-- own writes that the server refused. A refused share has one of two causes, and one epoch does not
-- show which:
--   capacity: the server accepts so much a second. A lower rate is refused less.
--   chance: it refuses a share whatever the rate is (a hot partition does). A lower rate only costs.
-- So a cut, to a little below what the server took, is a test. Where the share falls, the capacity
-- is found, and the rate creeps up to it again. Where it does not, the cut is undone and that share
-- becomes the base: it is expected, and what is below it holds nothing back. Where nearly everything
-- is refused at any rate the fleet only probes, and comes back to half the proven rate as soon as
-- the server accepts writes again.
--
--   epoch        when it began, which is its name
--   rate         tokens per second; absent: only observe
--   granted      tokens granted in the epoch
--   accepted, refused, writes   tokens of the epoch's writes that were reported, and their number
--   sent         tokens of all writes that ended in the epoch
--   observed     1: the fleet was observed for one epoch already
--   base         the share that is refused at any rate              base_at     when it was found
--   proven       tokens per second the server is known to take
--   best         the same, of the time before the last cuts
--   growth       by how much the rate grows after an epoch that held the fleet back
--   slow_until   the end of slow growth after a capacity was found
--   suspect      1: a small excess was seen once
--   tested_rate, tested_share, tested_held   of the epoch before the cut that is being tested
--   test_epochs, test_share                  of the epochs since that cut
--   outage       1: nearly everything is refused
--   found        1: an epoch passed well
--   seen_at      when somebody last asked

local BURST_SECONDS = 0.1
-- The seconds of a run's own rate that are saved up while the run waits for a process.
local SAVED_SECONDS = {documents = 1, request_units = 1}
local LOWEST_RATE = 1
local EPOCH_SECONDS, EPOCH_SECONDS_IN_SEARCH, LONGEST_EPOCH_SECONDS = 1, 0.5, 4
local EVIDENCE_SECONDS, EVIDENCE_WRITES = 0.4, 4
local HELD_SHARE, NEARLY_HELD_SHARE = 0.9, 0.4
local EXCESS_FACTOR, EXCESS_SHARE = 1.25, 0.02
local SMALL_EXCESS = 0.1
local BELOW_CAPACITY = 0.98
local SAME_SHARE = 0.5
local LONGEST_DEBT_SECONDS = 1
local OUTAGE_SHARE = 0.7
local PROBING_SHARE = 0.01
local FASTEST_GROWTH, SEARCH_GROWTH, FIRST_GROWTH, SLOW_GROWTH = 1, 0.1, 0.2, 0.01
local SLOW_SECONDS, GROWTH_STEP = 5, 0.02
local GROWTH_FROM_NOTHING, MOST_BEST = 3, 1.25
local TEST_EPOCHS = 2
local BASE_TO_TEST, TEST_BASE_EVERY_SECONDS = 0.03, 15

local IDLE_SECONDS, FORGOTTEN_SECONDS = 5, 60
local FIELDS = {
  'epoch', 'rate', 'granted', 'accepted', 'refused', 'writes', 'sent', 'observed', 'base', 'base_at',
  'proven', 'best', 'growth', 'slow_until', 'suspect', 'tested_rate', 'tested_share', 'tested_held',
  'test_epochs', 'test_share', 'outage', 'found', 'seen_at',
}

local budget = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local longest_wait = tonumber(ARGV[1])
local refused_now, accepted_now = tonumber(ARGV[3]), tonumber(ARGV[4])
local writes_now, sent_now = tonumber(ARGV[5]), tonumber(ARGV[6])
local joins, joining_rate = ARGV[7] == '1', tonumber(ARGV[8])

-- nil for a field that is not there, never false and never 0: in Lua 0 is true.
local function get(field)
  local value = redis.call('HGET', budget, field)
  return value and tonumber(value) or nil
end

local function number(field)
  return get(field) or 0
end

local function set(field, value)
  redis.call('HSET', budget, field, string.format('%.6f', value))
end

local function clear(...)
  redis.call('HDEL', budget, ...)
end

local function seconds_since(moment)
  return math.max(0, now - (moment or now)) / 1000000
end

-- Without a rate the controller only observes.
local function begin_epoch(rate)
  if rate then
    set('rate', math.max(LOWEST_RATE, rate))
  else
    clear('rate')
  end
  set('epoch', now)
  set('granted', 0)
  set('accepted', 0)
  set('refused', 0)
  set('writes', 0)
  set('sent', 0)
end

local function start_controller()
  set('base', 0)
  set('proven', joining_rate)
  set('growth', FIRST_GROWTH)
  begin_epoch(nil)
end

-- The epoch's figures once it says enough; nil before. Where the rate held the fleet back it is
-- exact; else what was reported is counted.
local function measured_epoch()
  local elapsed, rate = seconds_since(get('epoch')), get('rate')
  local shortest = EPOCH_SECONDS
  if rate and (number('growth') >= SEARCH_GROWTH or number('outage') == 1) then
    shortest = EPOCH_SECONDS_IN_SEARCH
  end
  local granted, refused = number('granted'), number('refused')
  local reported = number('accepted') + refused
  if elapsed < shortest or reported <= 0 then
    return nil
  end
  local per_second = granted / elapsed
  if rate then
    per_second = math.min(per_second, rate)
  end
  local enough = reported >= EVIDENCE_SECONDS * per_second and number('writes') >= EVIDENCE_WRITES
  if not enough and number('outage') == 0 and elapsed < LONGEST_EPOCH_SECONDS then
    return nil
  end
  local held = rate ~= nil and granted >= HELD_SHARE * rate * elapsed
  local offered = held and rate or number('sent') / elapsed
  local share = refused / reported
  return {
    rate = rate, held = held, share = share, offered = offered, taken = offered * (1 - share),
    nearly_held = rate ~= nil and granted >= NEARLY_HELD_SHARE * rate * elapsed,
  }
end

local function probing_rate(share)
  return number('proven') * math.max(PROBING_SHARE, (1 - share) / 2)
end

local function cut(epoch)
  local lower = BELOW_CAPACITY * epoch.taken / (1 - number('base'))
  if epoch.share >= OUTAGE_SHARE then
    lower = math.max(lower, probing_rate(epoch.share))
  elseif epoch.held then
    local best = math.max(number('best'), number('proven'))
    set('best', math.max(epoch.taken, math.min((best + epoch.taken) / 2, MOST_BEST * epoch.taken)))
    set('proven', epoch.taken)
  end
  if epoch.taken == 0 then
    set('outage', 1)
    if not get('found') then
      set('proven', math.max(number('proven'), epoch.offered))
    end
  end
  set('tested_rate', epoch.offered)
  set('tested_share', epoch.share)
  set('test_epochs', 0)
  set('test_share', 0)
  set('tested_held', epoch.held and 1 or 0)
  return math.min(lower, epoch.rate or lower)
end

local function grow(epoch)
  set('found', 1)
  set('suspect', 0)
  set('proven', math.max(number('proven'), epoch.taken))
  -- Only a test raises the base; otherwise it would follow a rate that creeps over the capacity.
  local base = number('base')
  set('base', epoch.share < base / 2 and epoch.share or math.min(base, (3 * base + epoch.share) / 4))
  local growth = number('growth')
  -- In a search, callers still wait as long as the earlier rate asked them to.
  if not (epoch.held or (epoch.nearly_held and growth >= SEARCH_GROWTH)) then
    return epoch.rate
  end
  if growth >= SEARCH_GROWTH then
    set('growth', math.max(growth, math.min(FASTEST_GROWTH, 2 * growth)))
  elseif now >= number('slow_until') then
    set('growth', growth + GROWTH_STEP)
  end
  -- One short epoch may have looked worse than the server is: go half the way back at once.
  local halfway = (epoch.rate + BELOW_CAPACITY * number('best')) / 2
  return math.max(epoch.rate * (1 + growth), halfway)
end

local function end_test()
  clear('tested_share')
  set('suspect', 0)
end

-- The rate of the next epoch after a cut: the rate before it where the cut changed nothing.
local function judge_test(epoch, excess)
  local epochs = number('test_epochs') + 1
  local share = number('test_share') + (epoch.share - number('test_share')) / epochs
  local base = number('base')
  if excess and share > base + SAME_SHARE * (get('tested_share') - base) then
    if epochs < TEST_EPOCHS then
      set('test_epochs', epochs)
      set('test_share', share)
      return epoch.rate
    end
    end_test()
    if epoch.share >= OUTAGE_SHARE then
      set('outage', 1)
      return probing_rate(epoch.share)
    end
    set('base', share)
    set('base_at', now)
    set('growth', SEARCH_GROWTH)
    return math.max(epoch.rate, number('tested_rate'))
  end
  end_test()
  if number('tested_held') == 1 then
    set('growth', SLOW_GROWTH)
    set('slow_until', now + SLOW_SECONDS * 1000000)
  end
  return grow(epoch)
end

local function judge_outage(epoch)
  if epoch.share >= OUTAGE_SHARE then
    return probing_rate(epoch.share)
  end
  set('outage', 0)
  set('base', 0)
  set('growth', get('found') and FASTEST_GROWTH or GROWTH_FROM_NOTHING)
  set('slow_until', 0)
  end_test()
  return math.max(epoch.rate or 0, number('proven') / 2)
end

local function next_rate(epoch)
  -- Too little is known about the first epoch: most writes were granted before it, or are under
  -- way.
  if not get('observed') then
    set('observed', 1)
    return nil
  end
  local excess = epoch.share > EXCESS_FACTOR * number('base') + EXCESS_SHARE
  if number('outage') == 1 then
    return judge_outage(epoch)
  end
  if get('tested_share') then
    return judge_test(epoch, excess)
  end
  if number('base') > BASE_TO_TEST and seconds_since(get('base_at')) > TEST_BASE_EVERY_SECONDS then
    set('base', 0)
    return cut(epoch)
  end
  if not excess then
    return grow(epoch)
  end
  if epoch.share - number('base') < SMALL_EXCESS and number('suspect') == 0 then
    set('suspect', 1)
    return epoch.rate
  end
  return cut(epoch)
end

-- Time without writes says nothing about the server; after a long one it may be another server.
local function forget_idle_time()
  local idle = seconds_since(get('seen_at'))
  if idle > FORGOTTEN_SECONDS then
    clear(unpack(FIELDS))
  elseif idle > IDLE_SECONDS and get('epoch') then
    begin_epoch(get('rate'))
  end
  set('seen_at', now)
end

-- Returns the rate as it was and as it is now.
local function control()
  forget_idle_time()
  local began, before = get('epoch'), get('rate')
  if not began then
    if joins then
      start_controller()
    end
    return nil, nil
  end
  if joins and not get('found') then
    set('proven', number('proven') + joining_rate)
  end
  set('sent', number('sent') + sent_now)
  if tonumber(ARGV[2]) == began then
    set('accepted', number('accepted') + accepted_now)
    set('refused', number('refused') + refused_now)
    set('writes', number('writes') + writes_now)
  end
  local epoch = measured_epoch()
  if epoch then
    begin_epoch(next_rate(epoch))
  end
  return before, get('rate')
end

local wait, controlled, taken = 0, nil, {}
for first = 9, #ARGV, 5 do
  local name, limit = ARGV[first], tonumber(ARGV[first + 1])
  local wanted, correction = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  local tokens = number(name .. ':tokens') - correction
  local rate = limit > 0 and limit or nil
  if ARGV[first + 2] == '1' then
    controlled = wanted
    local before, found = control()
    if found and (not rate or found < rate) then
      -- The debt is in seconds of the callers that wait, whatever the rate is now.
      tokens = math.max(tokens * found / (before or found), -LONGEST_DEBT_SECONDS * found)
      rate = found
    end
  end
  if rate then
    local refilled = tokens + seconds_since(get(name .. ':at')) * rate
    local kept_seconds = rate == limit and SAVED_SECONDS[name] or BURST_SECONDS
    tokens = math.min(rate * kept_seconds, refilled)
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
  if controlled and get('epoch') then
    set('granted', number('granted') + controlled)
  end
end
return {
  granted, wait, string.format('%.6f', number('rate')), string.format('%.0f', number('epoch'))
}
