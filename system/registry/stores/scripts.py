"""What Redis does in one step: taking words in, in their order, and showing everything it has."""

KEYS = ("entries", "leases", "keepers", "words", "count", "epoch")
FIELDS = 6

WRITE = """
local sender, answers = ARGV[1], {}
for at = 2, #ARGV, 6 do
  local kind, id, lease, keeper, record, reason = unpack(ARGV, at, at + 5)
  local owner = redis.call('HGET', KEYS[2], id)
  local refused = kind == 'offer' and owner
  if kind == 'put' and reason ~= 'registered' then
    refused = owner ~= lease
  end
  if kind == 'keep' or kind == 'delete' then
    refused = owner ~= lease
  end
  if kind == 'delete' and reason == 'expired' and redis.call('HGET', KEYS[3], id) ~= keeper then
    refused = true
  end
  if refused then
    local keeper, record = redis.call('HGET', KEYS[3], id), redis.call('HGET', KEYS[1], id)
    answers[#answers + 1] = {owner or '', keeper or '', record or ''}
  else
    if kind == 'delete' then
      redis.call('HDEL', KEYS[1], id); redis.call('HDEL', KEYS[2], id); redis.call('HDEL', KEYS[3], id)
    else
      redis.call('HSET', KEYS[3], id, keeper)
      if kind ~= 'keep' then
        redis.call('HSET', KEYS[1], id, record); redis.call('HSET', KEYS[2], id, lease)
      end
    end
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', 10000, '*', 'n', redis.call('INCR', KEYS[5]), 'sender', sender,
      'kind', kind, 'id', id, 'lease', lease, 'keeper', keeper, 'record', record, 'reason', reason)
    answers[#answers + 1] = 1
  end
end
return answers
"""

LOAD = """
redis.call('SET', KEYS[6], ARGV[1], 'NX')
local latest = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
return {redis.call('GET', KEYS[6]), latest[1] and latest[1][1] or '0-0', redis.call('GET', KEYS[5]) or '0',
  redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}
"""
