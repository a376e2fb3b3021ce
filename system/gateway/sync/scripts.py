"""What Redis does in one step: `supersedes` and `granted` of transitions.py, on the clock of Redis.

KEYS[1] is a provider's circuit: version, reset, tie (what it is ordered by), due (milliseconds on the clock
of Redis) and body (JSON). Returns the circuit that is in force afterwards: its body, and when it is due.
"""

PUT = """
local version, reset, tie = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = now + tonumber(ARGV[4])
local slack, claim = tonumber(ARGV[5]), ARGV[6] == '1'
local held = redis.call('HMGET', KEYS[1], 'version', 'reset', 'tie', 'due', 'body')
local keep = not held[1]
if held[1] then
  local known = {tonumber(held[1]), tonumber(held[2]), tonumber(held[3]), tonumber(held[4])}
  if claim then
    keep = version > known[1] and now >= known[4] - slack
  elseif version ~= known[1] then
    keep = version > known[1]
  elseif reset ~= known[2] then
    keep = reset > known[2]
  elseif tie ~= known[3] then
    keep = tie > known[3]
  else
    keep = due > known[4] + slack
  end
end
if keep and version == 0 and due <= now then
  return {ARGV[9], ARGV[4]}
end
if keep then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'reset', ARGV[2], 'tie', ARGV[3],
    'due', string.format('%.0f', due), 'body', ARGV[9])
  redis.call('PUBLISH', ARGV[8], ARGV[9])
  held[4], held[5] = due, ARGV[9]
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {held[5], string.format('%.0f', held[4] - now)}
"""
