-- Direct conversations, by the other one's username, and which of their messages have been read.
--
-- Reading one message marks that one only, so room:ID:read counts the reader's own posts and what
-- they have read, in whatever order.

local function direct_between(a, b)
	local id = redis.call('GET', direct_key(a, b))
	return id and room_load(id) or nil
end

-- The room with the user of this name, nil if there is none; a deleted user's is still there.
local function direct_entered(user, username)
	local other = username_holder(username)
	if not other then refuse('NOUSER', 'other') end
	local r = direct_between(user, other)
	if r and not is_member(r, user) then refuse('NOTMEMBER', 'room') end
	return r
end

-- Posts to the user of this name, making the room of the two if it is not there. A
-- client_message_id seen within 600 s answers that message again and publishes nothing.
-- keys: those of message_post and room_direct; user:name:NAME
-- args: user username(any case) content attachments client_message_id rate burst history_max
--   log_max   (as in message_post)
-- reply: message
-- publishes: user:ID "room-created" for both if the room was made, then room:ID "message"
-- errors: INVALID clientMessageId (its message is not in a direct room); NOMESSAGE message (it is
--   gone); NOUSER user; USERDELETED user; NOUSER other (unknown or deleted); INVALID user
--   (oneself); INVALID attachments; FULL as room_direct; RATE seconds (no room is made then)
writes('direct_post', function(user, username, content, attachments, cid, rate, burst, history_max,
		log_max)
	local known = {}
	local sent, where = message_sent(user, cid, 'direct')
	if sent then return { message_json(sent, where, known) } end
	local u = user_acting(user)
	known[user] = u
	local id = username_holder(username)
	local other = id and user_known(known, id)
	if not other or other.deleted then refuse('NOUSER', 'other') end
	if id == user then refuse('INVALID', 'user: is oneself') end
	attachments = attachments_json(user, attachments)
	local r = direct_between(user, id)
	if not r then directs_check(user, id) end
	local now = now_ms()
	take_token(u, rate, burst, now)
	if not r then
		room_direct(user, id)
		r = direct_between(user, id)
	end
	local m = { room = r.id, author = user, content = content, created = text(now),
		attachments = attachments }
	return { message_send(r, m, known, cid, history_max, log_max) }
end)

-- What was said before a message of the conversation with a user, newest first.
-- keys: user:name:NAME, room:direct:A:B, and those of room_posts
-- args: user username(any case) before("" = from the newest) limit
-- reply: next ("" at the end or without a room, else the value for before), message… (as in
--   room_posts)
-- publishes: nothing
-- errors: NOUSER other (unknown); NOTMEMBER room (the user who asks is deleted); INVALID before
reads('direct_page', function(user, username, before, limit)
	return page_before(direct_entered(user, username), before, limit)
end)

-- How many messages of the conversation with a user are unread by the one who asks.
-- keys: user:name:NAME, room:direct:A:B, room:ID, room:ID:members, room:ID:read
-- args: user username(any case)
-- reply: count ("0" without a room)
-- publishes: nothing
-- errors: NOUSER other (unknown); NOTMEMBER room (the user who asks is deleted)
reads('direct_unread', function(user, username)
	local r = direct_entered(user, username)
	return { r and unread_by(r, user) or '0' }
end)

-- The recipient of a message of a direct room has read it.
-- keys: message:ID, room:ID, room:ID:members, room:ID:read, user:ID, clock
-- args: user message origin(the socket that asks, "" = none)
-- reply: "1" if it is read by this call, "0" if it was before
-- publishes: room:ID "read", the first time
-- errors: NOUSER user; USERDELETED user; NOMESSAGE message (unknown, not in a direct room, or not
--   in one of the user's); FORBIDDEN message (the author)
writes('message_read', function(user, message, origin)
	local u = user_acting(user)
	local m, r = message_found(user, message)
	if r.kind ~= 'direct' then refuse('NOMESSAGE', 'message') end
	if m.author == user then refuse('FORBIDDEN', 'message') end
	if m.read then return { '0' } end
	redis.call('HSET', m.key, 'read', '1')
	redis.call('HINCRBY', r.key .. ':read', user, 1)
	publish(r.key, event_json('read', r.id, r.kind, user, ',"username":' .. json(u.username) ..
		',"messageId":' .. literal(m.id) ..
		',"peer":' .. json(user_load(m.author).username) ..
		',"unread":' .. unread_by(r, user) .. ',"origin":' .. json(origin)))
	return { '1' }
end)
