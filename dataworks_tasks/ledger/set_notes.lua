-- Replace the notes of topics, or what is known about collections; create no record.
--
-- KEYS[1] record
-- KEYS[2] notes  hash, topic -> the topic's notes as JSON; or a hash of collections
-- ARGV topic, its notes or "" for none, topic, its notes, ...

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
for position = 1, #ARGV, 2 do
  if ARGV[position + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[position])
  else
    redis.call('HSET', KEYS[2], ARGV[position], ARGV[position + 1])
  end
end
return 1
