-- Settles what a pod has used for a caller, then admits one more call of it if that is asked.
--
-- KEYS: the rates (hash), the leases (sorted set), the last batch of this pod (number), then windows of usage (hashes).
-- ARGV: read in order; ledger.rs and request.rs write it. Times are microseconds since the epoch, and below 2^53.
-- Returns the time, the outcome, a number that belongs to it, what was used of each budget, and whether half of the calls
-- that may be in flight are. Each command costs Redis a microsecond or two, which all callers share: so what is rarely
-- needed is asked for late.
local MINUTE = 60000000
-- Long enough for a batch that is sent again after an outage, and for a lease that is renewed late. In seconds.
local KEPT = 86400

local at = 0
local function text() at = at + 1 return ARGV[at] end
local function number() return tonumber(text()) end
local function list(use) for _ = 1, number() do use(text()) end end
-- Lua would write large numbers as 1.8e+15.
local function written(x) return string.format('%.0f', x) end

local now = number()
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local calls_per_minute, tokens_per_minute = number(), number()
local lease_time = number()
local rates_key, leases_key, seen_key = KEYS[1], KEYS[2], KEYS[3]

local found = redis.call('HMGET', rates_key, 'calls', 'tokens', 'returned', 'kept')
local calls, tokens = tonumber(found[1] or 0), tonumber(found[2] or 0)
local returned, kept = tonumber(found[3] or 0), tonumber(found[4] or 0)
local changed = false
-- Whether the key of the leases is known to expire. Redis forgets that with the last lease.
local leases_expire = false

local function cost(amount, per_minute) return math.floor(amount * MINUTE / per_minute) end
local function after(even, amount, per_minute) return math.max(even, now) + cost(amount, per_minute) end
local function wait(even) return math.max(even - now - MINUTE, 0) end
local function count(number_of_calls)
  if calls_per_minute > 0 and number_of_calls > 0 then
    calls, changed = after(calls, number_of_calls, calls_per_minute), true
  end
end
-- Gives back what of one call has not refilled since; `even` is when it would have.
local function give_back(even)
  if calls_per_minute > 0 then
    local credit = math.min(math.max(even - returned - now, 0), cost(1, calls_per_minute))
    calls, returned, changed = calls - credit, returned + credit, true
  end
end
local function hold(lease)
  local added = redis.call('ZADD', leases_key, written(now + lease_time), lease)
  if not leases_expire then
    redis.call('EXPIRE', leases_key, KEPT)
    leases_expire = true
  end
  return added == 1
end
local function release(lease)
  leases_expire = false
  return redis.call('ZREM', leases_key, lease) == 1
end
local function forget_expired_leases()
  leases_expire = false
  redis.call('ZREMRANGEBYSCORE', leases_key, '-inf', written(now))
end

-- Batches of this pod that may have come before, in the order of their numbers.
local batches, last = number(), 0
if batches > 0 then
  local newest = text()
  last = tonumber(redis.call('SET', seen_key, newest, 'EX', KEPT, 'GET') or 0)
  -- A later message has overtaken this one.
  if last > tonumber(newest) then redis.call('SET', seen_key, written(last), 'EX', KEPT) end
end
for _ = 1, batches do
  local is_new = number() > last
  local function each(use) list(function(value) if is_new then use(value) end end) end
  -- What becomes of these depends on whether they have a lease.
  local function each_unclear(use)
    local is_first = true
    each(function(lease)
      if is_first then forget_expired_leases() end
      is_first = false
      use(lease)
    end)
  end
  local spent, ran = number(), number()
  if is_new then
    count(ran)
    if tokens_per_minute > 0 and spent > 0 then
      tokens, changed = after(tokens, spent, tokens_per_minute), true
    end
  end
  -- Calls that go on, of which this does not know yet.
  each_unclear(function(lease) if hold(lease) then count(1) end end)
  -- Calls that go on.
  each(hold)
  -- Calls that are over, of which this may not know.
  each_unclear(function(lease) if not release(lease) then count(1) end end)
  -- Calls that were refused, although they may have been admitted here.
  each_unclear(function(lease) if release(lease) then give_back(calls + returned) end end)
  -- Calls that are over.
  each(release)
  -- Calls that were not sent to upstream.
  each(function(even) give_back(tonumber(even)) end)
  -- What was used in each window.
  for _ = 1, number() do
    local key, seconds = KEYS[number()], text()
    for _ = 1, number() do
      local field, amount = text(), text()
      if is_new then redis.call('HINCRBY', key, field, amount) end
    end
    if is_new then redis.call('EXPIRE', key, seconds) end
  end
end

local function admit()
  local lease, due, in_flight = text(), number(), number()
  -- The pod has given up waiting, and settles the call in another way.
  if now > due then return 'late', 0, {}, 0 end
  local used, full = {}, 0
  for index = 1, number() do
    local key, field, limit = KEYS[number()], text(), number()
    used[index] = tonumber(redis.call('HGET', key, field) or 0)
    if used[index] >= limit and full == 0 then full = index end
  end
  local running = 0
  if in_flight > 0 then
    running = redis.call('ZCARD', leases_key)
    if running * 2 >= in_flight then
      forget_expired_leases()
      running = redis.call('ZCARD', leases_key)
    end
    leases_expire = running > 0
  end
  local is_half_full = (in_flight > 0 and running * 2 >= in_flight) and 1 or 0
  local function refused(outcome, value)
    -- A call that is asked for a second time may be what fills the limit.
    if redis.call('ZSCORE', leases_key, lease) then return 'admitted', calls + returned, used, is_half_full end
    return outcome, value, used, is_half_full
  end
  if tokens_per_minute > 0 then
    local missing = wait(after(tokens, 1, tokens_per_minute))
    if missing > 0 then return refused('tokens', missing) end
  end
  if full > 0 then return refused('budget', full) end
  if in_flight > 0 and running >= in_flight then return refused('in_flight', 0) end
  if calls_per_minute > 0 then
    local missing = wait(after(calls, 1, calls_per_minute))
    if missing > 0 then return refused('calls', missing) end
  end
  -- A call that is asked for a second time counts once.
  if hold(lease) then count(1) end
  return 'admitted', calls + returned, used, is_half_full
end

local outcome, value, used, is_half_full = 'settled', 0, {}, 0
if number() == 1 then outcome, value, used, is_half_full = admit() end

-- Twice a day, or if a caller has spent far ahead: what is not used any more expires.
local seconds = math.ceil(math.max(calls - now, tokens - now, 0) / 1000000) + KEPT
local is_renewed = now + (seconds - KEPT / 2) * 1000000 > kept
if is_renewed then kept = now + seconds * 1000000 end
if changed or is_renewed then
  redis.call('HSET', rates_key, 'calls', written(calls), 'tokens', written(tokens), 'returned', written(returned),
    'kept', written(kept))
end
if is_renewed then
  redis.call('EXPIRE', rates_key, seconds)
  redis.call('EXPIRE', leases_key, KEPT)
  forget_expired_leases()
end
return { now, outcome, value, used, is_half_full }
