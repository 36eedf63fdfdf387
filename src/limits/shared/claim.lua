-- One look at one bucket: GCRA over a quantity. A bucket is its theoretical arrival time (TAT), as "seconds.nanoseconds".
-- KEYS[1] the bucket; ARGV: period in ns, burst, least and most requests to grant, debt in ns that the caller knows of.
-- Gives what was granted (0 where `least` does not fit: then nothing is spent), the debt after it, and how long until
-- `least` fits, both in ns. A Lua number holds 2^53: seconds and nanoseconds are counted apart, so that all is exact as
-- long as a full bucket takes less than 104 days to regain.
local period, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local least, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local full = period * burst
local time = redis.call('TIME')
local second, nano = tonumber(time[1]), tonumber(time[2]) * 1000
local held = 0
local known = redis.call('GET', KEYS[1])
if known then
  local s, n = string.match(known, '^(%d+)%.(%d+)$')
  if s then held = math.max(0, (tonumber(s) - second) * 1e9 + (tonumber(n) - nano)) end
end
-- No debt is deeper than a bucket. One that is was left by a clock that has been set back since (or by that of another
-- server, which failed over to this one): it is written anew, or nothing would be regained until that time comes again.
local wrong = held > full
-- What the caller knows is a floor: a store that was emptied gives nobody a second burst.
local debt = math.min(math.max(held, tonumber(ARGV[5])), full)
local fit = math.floor((full - debt) / period)
local granted = 0
if fit >= least then granted = math.min(fit, most) end
debt = debt + granted * period
if debt > held or wrong then
  local at = nano + debt
  local whole = math.floor(at / 1e9)
  local tat = string.format('%.0f.%09.0f', second + whole, at - whole * 1e9)
  redis.call('SET', KEYS[1], tat, 'PX', string.format('%.0f', math.ceil(debt / 1e6)))
end
local wait = 0
if granted < least then
  -- TIME counts microseconds: one more, so that who comes back then is not a fraction of one too early.
  wait = debt + least * period - full + 1000
end
return { granted, debt, wait }
