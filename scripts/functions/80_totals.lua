-- How much there is of all.

-- keys: users, counts, user:ID
-- args: user (who asks)
-- reply: users (not deleted), rooms, messages
-- publishes: nothing
-- errors: USERDELETED user
reads('totals', function(user)
	local u = user_load(user)
	if u and u.deleted then refuse('USERDELETED', 'user') end
	local counts = redis.call('HMGET', 'counts', 'rooms', 'messages')
	return { text(redis.call('ZCARD', 'users')), counts[1] or '0', counts[2] or '0' }
end)
