-- KEYS[1]  the key
-- ARGV     began, kind, version, schema, how long it is fresh and kept, what it cost, how long an invalidation is
--          remembered (all in microseconds), body
-- Gives    1, or 0: its load began before the last invalidation, or a higher version still counts.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local before = redis.call('HMGET', KEYS[1], 'version', 'forgotten', 'guarded', 'kind')
local began, version = tonumber(ARGV[1]), tonumber(ARGV[3])
if before[2] and tonumber(before[2]) >= began then
  return 0
end
if before[1] and tonumber(before[1]) > version and now < tonumber(before[3]) then
  return 0
end
local function at(span)
  return string.format('%.0f', now + tonumber(span))
end
-- What only guards a version guards it to its end.
local guarded = now + tonumber(ARGV[5])
if before[4] == 'nothing' then
  guarded = math.max(guarded, tonumber(before[3]))
end
-- `forgotten` stays: a slower load of before may still come.
redis.call('HSET', KEYS[1], 'kind', ARGV[2], 'version', ARGV[3], 'schema', ARGV[4], 'fresh', at(ARGV[5]),
  'kept', at(ARGV[6]), 'guarded', string.format('%.0f', guarded), 'cost', ARGV[7], 'body', ARGV[9])
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(tonumber(ARGV[6]), tonumber(ARGV[8])) / 1000) + 1)
return 1
