-- Posts: a room's messages, fetched to be read.

-- What was said before a message, newest first. In a group or a channel nothing is news to the
-- reader then, whichever page it was; in a direct room chats are read one by one (message_read).
-- keys: room:ID, room:ID:members, room:ID:read, room:ID:messages, message:ID, user:ID
-- args: user room before("" = from the newest) limit
-- reply: next ("" at the end, else the value for before), message… (without reactions and
--   replyTo)
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room; INVALID before
writes('room_posts', function(user, room, before, limit)
	local r = room_entered(room, user, '')
	local reply = page_before(r, before, limit)
	if r.kind ~= 'direct' and unread_by(r, user) ~= '0' then
		redis.call('HSET', r.key .. ':read', user, r.posts)
	end
	return reply
end)
