-- KEYS[1]  the key
-- ARGV[1]  nothing below this version is kept, ARGV[2] for so long, in microseconds
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'kind', 'nothing', 'version', ARGV[1], 'forgotten', string.format('%.0f', now),
  'guarded', string.format('%.0f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2]) / 1000) + 1)
return 1
