-- Tells the other pods that this one is there, and counts them.
--
-- KEYS: the pods (sorted set, by when each expires in milliseconds). ARGV: this pod, and for how long it is counted in
-- milliseconds; 0 takes it away.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ms = math.floor(now / 1000)
local kept = tonumber(ARGV[2])
if kept > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', ms + kept), ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ms))
redis.call('PEXPIRE', KEYS[1], 60000)
return { now, redis.call('ZCARD', KEYS[1]) }
