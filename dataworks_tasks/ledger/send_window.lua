-- The messages of one run: which ranges are waiting, in hand, or to be sent next.
--
-- KEYS[1] record        hash
-- KEYS[2] window        hash: size (documents or slices of a message), room (messages that may wait),
--                       processes (at most; 0: any), sent (ranges below were sent), waiting, unprobed
--                       (messages sent since the last probe), probing (1: a probe is on its way),
--                       takes, parked (moment, or none), opened (moment)
-- KEYS[3] hands         hash, start -> "stop|holder|until|since"
-- KEYS[4] rests         sorted set of "start:stop" to be sent again, scored by when
-- KEYS[5] acknowledged  sorted set, see acknowledge.lua
-- KEYS[6] attempts      hash: "deaths:<start>", "tries:<start>"
-- KEYS[7] turns         sorted set of the queue's runs that want processes, scored by since when
-- KEYS[8] due           sorted set of "<run> <step>", scored by when a worker looks after it
-- ARGV[1] command  ARGV[2] run id  ARGV[3...] see each command
--
-- Times are seconds of the server's clock. Every message that is taken is replaced by the next one
-- at once, so a run has `room` messages in the queue however many processes work for it.

local record = redis.call('HMGET', KEYS[1], 'state', 'planned', 'copied')
if not record[1] then
  return redis.error_reply('UNKNOWNRUN no such run')
end

local MOST_RESTS = 64
local OPENED_SECONDS = 2
local MOST_WINDOWS = 4
local command, run = ARGV[1], ARGV[2]
local working = record[1] == 'planning' or record[1] == 'running'
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000

local function text(number)
  return string.format('%.0f', number)
end

local function moment(number)
  return string.format('%.6f', number)
end

local function bounds(member)
  local from, to = string.match(member, '^(%d+):(%d+)$')
  return tonumber(from), tonumber(to)
end

local function hand_at(start)
  local value = redis.call('HGET', KEYS[3], start)
  if not value then
    return nil
  end
  local stop, holder, ends, since = string.match(value, '^(%d+)|(.*)|([%d.]+)|([%d.]+)$')
  return {stop = stop, holder = holder, ends = tonumber(ends), since = since}
end

local function put_hand(start, stop, holder, seconds, since)
  local value = stop .. '|' .. holder .. '|' .. moment(now + seconds) .. '|' .. since
  redis.call('HSET', KEYS[3], start, value)
end

-- Make a worker take care of the run at that moment, if none does earlier.
local function wake_at(at)
  local member = run .. ' wake'
  local known = redis.call('ZSCORE', KEYS[8], member)
  if not known or tonumber(known) > at then
    redis.call('ZADD', KEYS[8], moment(at), member)
  end
end

local function give_back(range, at)
  redis.call('ZADD', KEYS[4], moment(at), range)
  if at > now then
    wake_at(at)
  end
end

local function window()
  local names = {'size', 'room', 'processes', 'sent', 'waiting', 'unprobed', 'parked', 'takes'}
  local values = redis.call('HMGET', KEYS[2], unpack(names))
  local found = {}
  for position, name in ipairs(names) do
    found[name] = tonumber(values[position]) or 0
  end
  return found
end

-- How much the next message holds. Where many key windows wait, a message has several of them: it
-- costs about as much as reconciling a hundred keys.
local function size_of_message(state, sent, planned)
  if not record[3] then
    return state.size
  end
  local share = math.floor((planned - sent) / (8 * math.max(1, state.room)))
  return math.max(state.size, math.min(MOST_WINDOWS, share))
end

-- The next range after the cursor that is not acknowledged, or nil.
local function next_range(state, planned)
  local sent = state.sent
  local before = redis.call('ZREVRANGEBYSCORE', KEYS[5], text(sent), '-inf', 'LIMIT', 0, 1)
  if before[1] then
    local _, to = bounds(before[1])
    sent = math.max(sent, to)
  end
  if sent >= planned then
    state.sent = planned
    return nil
  end
  local after = redis.call('ZRANGEBYSCORE', KEYS[5], '(' .. text(sent), '+inf', 'LIMIT', 0, 1)
  local stop = math.min(sent + size_of_message(state, sent, planned), planned)
  if after[1] then
    stop = math.min(stop, (bounds(after[1])))
  end
  state.sent = stop
  return text(sent) .. ':' .. text(stop)
end

-- A range that is sent again is in the queue behind the next probe, which cannot miss it. Without
-- this, a range that returns to the queue between any two probes would be sent twice, and again.
local function forget_suspect(range)
  local suspects = redis.call('HGET', KEYS[2], 'suspects')
  if not suspects or suspects == '' then
    return
  end
  local from, to = bounds(range)
  local kept = {}
  for start, stop in string.gmatch(suspects, '(%d+):(%d+)') do
    start, stop = tonumber(start), tonumber(stop)
    if start < from then
      kept[#kept + 1] = text(start) .. ':' .. text(math.min(stop, from))
    end
    if stop > to then
      kept[#kept + 1] = text(math.max(start, to)) .. ':' .. text(stop)
    end
  end
  redis.call('HSET', KEYS[2], 'suspects', table.concat(kept, ' '))
end

-- Take out of the ledger what the caller has to send now: "start:stop", ...
local function refill()
  local state = window()
  if not working or state.size == 0 or state.parked > now then
    return {}
  end
  local room = state.room - state.waiting
  if state.processes > 0 then
    room = math.min(room, state.processes - state.waiting - redis.call('HLEN', KEYS[3]))
  end
  local found, planned = {}, tonumber(record[2])
  while #found < room do
    local rest = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', moment(now), 'LIMIT', 0, 1)[1]
    if rest then
      redis.call('ZREM', KEYS[4], rest)
      forget_suspect(rest)
    elseif redis.call('ZCARD', KEYS[4]) < MOST_RESTS then
      rest = next_range(state, planned)
    end
    if not rest then
      break
    end
    found[#found + 1] = rest
  end
  if #found > 0 then
    redis.call('HSET', KEYS[2], 'sent', text(state.sent), 'waiting', text(state.waiting + #found),
      'unprobed', text(state.unprobed + #found))
  end
  return found
end

-- Other runs of the queue that want a process now.
local function others()
  local wanting = redis.call('ZCOUNT', KEYS[7], '-inf', moment(now))
  local own = redis.call('ZSCORE', KEYS[7], run)
  if own and tonumber(own) <= now then
    wanting = wanting - 1
  end
  return wanting
end

local commands = {}

-- ARGV[3] size  ARGV[4] room  ARGV[5] processes  ARGV[6] queue; begins again with the first gap.
-- A run's command and a worker that notices the new run may both open the window: the second one
-- changes nothing, as the first one's messages are in the queue.
function commands.open()
  local opened = tonumber(redis.call('HGET', KEYS[2], 'opened') or '0')
  if now - opened < OPENED_SECONDS and redis.call('HGET', KEYS[1], 'queue') == ARGV[6] then
    return {}
  end
  redis.call('HSET', KEYS[1], 'queue', ARGV[6])
  redis.call('HSET', KEYS[2], 'size', ARGV[3], 'room', ARGV[4], 'processes', ARGV[5],
    'sent', '0', 'waiting', '0', 'unprobed', '0', 'probing', '0', 'parked', '0', 'takes', '0',
    'suspects', '', 'opened', moment(now))
  redis.call('DEL', KEYS[4])
  redis.call('ZADD', KEYS[7], '0', run)
  return {}
end

function commands.refill()
  return refill()
end

-- ARGV[3] start  ARGV[4] stop  ARGV[5] holder  ARGV[6] seconds  ARGV[7] 1 if the holder before died
-- Returns {what, its holder, deaths, tries, others, what to send...}; what: taken, held by somebody
-- else, stopped (the run), beyond (what is planned), parked (it waits for tokens), full (it has all
-- the processes it may).
function commands.take()
  local start, stop, holder = ARGV[3], ARGV[4], ARGV[5]
  local state = window()
  redis.call('HSET', KEYS[2], 'waiting', text(math.max(0, state.waiting - 1)))
  if not working then
    redis.call('ZREM', KEYS[7], run)
    return {'stopped', '', 0, 0, 0}
  end
  if tonumber(stop) > tonumber(record[2]) then
    return {'beyond', '', 0, 0, 0}
  end
  local hand = hand_at(start)
  if hand and hand.holder ~= holder then
    if hand.ends > now and ARGV[7] ~= '1' then
      return {'held', hand.holder, 0, 0, 0, unpack(refill())}
    end
    redis.call('HINCRBY', KEYS[6], 'deaths:' .. start, 1)
  end
  if state.parked > now then
    give_back(start .. ':' .. stop, state.parked)
    return {'parked', '', 0, 0, 0}
  end
  if not hand and state.processes > 0 and redis.call('HLEN', KEYS[3]) >= state.processes then
    give_back(start .. ':' .. stop, now)
    return {'full', '', 0, 0, 0}
  end
  put_hand(start, stop, holder, tonumber(ARGV[6]), moment(now))
  redis.call('HINCRBY', KEYS[2], 'takes', 1)
  local counts = redis.call('HMGET', KEYS[6], 'deaths:' .. start, 'tries:' .. start)
  local deaths, tries = tonumber(counts[1]) or 0, tonumber(counts[2]) or 0
  return {'taken', '', deaths, tries, others(), unpack(refill())}
end

-- ARGV[3] start  ARGV[4] holder  ARGV[5] seconds. Returns {1} while the range is the holder's.
function commands.keep()
  local hand = hand_at(ARGV[3])
  if not hand or hand.holder ~= ARGV[4] then
    return {'0'}
  end
  put_hand(ARGV[3], hand.stop, hand.holder, tonumber(ARGV[5]), hand.since)
  return {'1'}
end

-- ARGV[3] start  ARGV[4] holder  ARGV[5] 1: something was acknowledged  ARGV[6] 1: it was tried
-- without success  ARGV[7] seconds until its rests are sent again  ARGV[8] 1: nothing of the run is
-- sent before that  ARGV[9...] rests "start:stop"
function commands.release()
  local start, later = ARGV[3], now + tonumber(ARGV[7])
  local hand = hand_at(start)
  if hand and hand.holder == ARGV[4] then
    redis.call('HDEL', KEYS[3], start)
  end
  if ARGV[5] == '1' then
    redis.call('HDEL', KEYS[6], 'deaths:' .. start, 'tries:' .. start)
  end
  if ARGV[6] == '1' then
    redis.call('HINCRBY', KEYS[6], 'tries:' .. start, 1)
  end
  if ARGV[8] == '1' and later > now then
    redis.call('HSET', KEYS[2], 'parked', moment(later))
    if working then
      redis.call('ZADD', KEYS[7], moment(later), run)
    end
    wake_at(later)
  end
  for position = 9, #ARGV do
    give_back(ARGV[position], later)
  end
  return refill()
end

-- What a probe finds that was sent after all messages but `unprobed` and is executed now. Ranges of
-- dead workers are released, and a death is counted for each. Returns {state, planned, size,
-- sent, now, parked for seconds, takes, suspects, number of hands, "start:stop" of each, rests...}.
function commands.look()
  local state = window()
  if state.size > 0 then
    redis.call('HSET', KEYS[2], 'waiting', text(math.min(state.waiting, state.unprobed)),
      'probing', '0')
  end
  local alive = {}
  local entries = redis.call('HGETALL', KEYS[3])
  for position = 1, #entries, 2 do
    local start = entries[position]
    local hand = hand_at(start)
    if hand.ends > now then
      alive[#alive + 1] = start .. ':' .. hand.stop
    else
      redis.call('HDEL', KEYS[3], start)
      redis.call('HINCRBY', KEYS[6], 'deaths:' .. start, 1)
    end
  end
  local reply = {record[1], record[2], text(state.size), text(state.sent), moment(now),
    moment(math.max(0, state.parked - now)), text(state.takes), redis.call('HGET', KEYS[2], 'suspects') or '', #alive}
  for _, range in ipairs(alive) do
    reply[#reply + 1] = range
  end
  for _, range in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    reply[#reply + 1] = range
  end
  return reply
end

-- ARGV[3] room  ARGV[4] suspects  ARGV[5...] ranges that were lost
function commands.correct()
  redis.call('HSET', KEYS[2], 'room', ARGV[3], 'suspects', ARGV[4])
  for position = 5, #ARGV do
    give_back(ARGV[position], now)
  end
  return refill()
end

-- A probe that waits for long is sent again: messages are counted from the first one on, because
-- those between both are still in the queue when the first one comes through.
function commands.probe()
  if redis.call('HGET', KEYS[2], 'probing') ~= '1' then
    redis.call('HSET', KEYS[2], 'unprobed', '0', 'probing', '1')
  end
  return {}
end

-- Returns {state, others, takes}.
function commands.others()
  return {record[1], others(), redis.call('HGET', KEYS[2], 'takes') or 0}
end

return commands[command]()
