-- Replace the notes of one topic, or what is known of one collection; make no record of its own.
--
-- KEYS[1] record
-- KEYS[2] notes  hash, topic -> the topic's notes as JSON; or a hash of collections
-- ARGV[1] topic  ARGV[2] its notes, or "" for none

if redis.call('HEXISTS', KEYS[1], 'state') == 0 then
  return redis.error_reply('UNKNOWNRUN no such run')
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return 1
