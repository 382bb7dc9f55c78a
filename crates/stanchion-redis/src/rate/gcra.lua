-- GCRA over one key, by the server's clock: all clients agree, whatever time it is where they are.
--
-- KEYS[1]  the key
-- ARGV[1]  what the call costs (less than nothing gives it back), ARGV[2] the room, ARGV[3] what one call costs: all in nanoseconds
-- Gives    1 and how many more calls would pass, or 0 and the nanoseconds until this one would.
--
-- Stored are the debt in nanoseconds and when it was so in microseconds, not a theoretical arrival time: that would
-- have more digits than a Lua number holds, and a bucket of N calls must hold N, not N - 1.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local cost, room, call = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local debt = 0
local known = redis.call('GET', KEYS[1])
if known then
  local before, at = string.match(known, '^(%d+)@(%d+)$')
  -- A clock that was set back gives nothing and takes nothing; a value of somebody else is none.
  local passed = math.max(0, now - tonumber(at or now)) * 1000
  debt = math.max(0, tonumber(before or 0) - passed)
end

local after = math.max(0, debt + cost)
if cost >= 0 and after > room then
  return {0, after - room}
end
if after == 0 then
  redis.call('DEL', KEYS[1])
  return {1, math.floor(room / call)}
end
-- Paid off, the key says nothing: it lives no longer than that, which is the room at most.
redis.call('SET', KEYS[1], string.format('%.0f@%.0f', after, now), 'PX', math.ceil(after / 1000000) + 1)
return {1, math.floor((room - after) / call)}
