-- KEYS[1]  the key
-- Gives    the server's time, and if there is an entry: kind, version, schema, how long it is fresh and kept, what it
--          cost, its body. All times in microseconds.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local at = string.format('%.0f', now)
local entry = redis.call('HMGET', KEYS[1], 'kind', 'version', 'schema', 'fresh', 'kept', 'cost', 'body')
if not entry[1] or entry[1] == 'nothing' then
  return {at}
end
local function left(until_)
  return string.format('%.0f', math.max(0, tonumber(until_) - now))
end
return {at, entry[1], entry[2], entry[3], left(entry[4]), left(entry[5]), entry[6], entry[7]}
