-- Settles what a pod has used for a caller, then admits one more call of it if that is asked.
--
-- KEYS: the rates (hash), the leases (sorted set), the last batch of this pod (number), then windows of usage (hashes).
-- ARGV: read in order; ledger.rs and request.rs write it. Times are microseconds since the epoch, and below 2^53.
-- Returns the time, the outcome, a number that belongs to it, and what was used of each budget.
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

local found = redis.call('HMGET', rates_key, 'calls', 'tokens', 'returned')
local calls, tokens = tonumber(found[1] or 0), tonumber(found[2] or 0)
local returned = tonumber(found[3] or 0)
local changed = false

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
  redis.call('EXPIRE', leases_key, KEPT)
  return added == 1
end

-- Batches of this pod that may have come before, in the order of their numbers.
local last = tonumber(redis.call('GET', seen_key) or 0)
local newest = last
for _ = 1, number() do
  local batch = number()
  local is_new = batch > newest
  local function each(use) list(function(value) if is_new then use(value) end end) end
  local spent, ran = number(), number()
  if is_new then
    newest = batch
    count(ran)
    if tokens_per_minute > 0 and spent > 0 then
      tokens, changed = after(tokens, spent, tokens_per_minute), true
    end
  end
  -- Calls that go on, of which this does not know yet.
  each(function(lease) if hold(lease) then count(1) end end)
  -- Calls that go on.
  each(hold)
  -- Calls that are over, of which this may not know.
  each(function(lease) if redis.call('ZREM', leases_key, lease) == 0 then count(1) end end)
  -- Calls that were refused, although they may have been admitted here.
  each(function(lease) if redis.call('ZREM', leases_key, lease) == 1 then give_back(calls + returned) end end)
  -- Calls that are over.
  each(function(lease) redis.call('ZREM', leases_key, lease) end)
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
if newest > last then redis.call('SET', seen_key, written(newest), 'EX', KEPT) end

local function admit()
  local lease, due, in_flight = text(), number(), number()
  -- The pod has given up waiting, and settles the call in another way.
  if now > due then return 'late', 0, {} end
  local used, full = {}, 0
  for index = 1, number() do
    local key, field, limit = KEYS[number()], text(), number()
    used[index] = tonumber(redis.call('HGET', key, field) or 0)
    if used[index] >= limit and full == 0 then full = index end
  end
  redis.call('ZREMRANGEBYSCORE', leases_key, '-inf', written(now))
  -- Asked for a second time.
  if redis.call('ZSCORE', leases_key, lease) then return 'admitted', calls + returned, used end
  if tokens_per_minute > 0 then
    local missing = wait(after(tokens, 1, tokens_per_minute))
    if missing > 0 then return 'tokens', missing, used end
  end
  if full > 0 then return 'budget', full, used end
  if in_flight > 0 and redis.call('ZCARD', leases_key) >= in_flight then return 'in_flight', 0, used end
  if calls_per_minute > 0 then
    local missing = wait(after(calls, 1, calls_per_minute))
    if missing > 0 then return 'calls', missing, used end
    count(1)
  end
  hold(lease)
  return 'admitted', calls + returned, used
end

local outcome, value, used = 'settled', 0, {}
if number() == 1 then outcome, value, used = admit() end
if changed then
  redis.call('HSET', rates_key, 'calls', written(calls), 'tokens', written(tokens), 'returned', written(returned))
  redis.call('EXPIRE', rates_key, math.ceil(math.max(calls - now, tokens - now, 0) / 1000000) + KEPT)
end
return { now, outcome, value, used }
