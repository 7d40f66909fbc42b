-- Messages: posting, changing, reading.
--
-- message:ID is a hash: room, author, content, created, updated (once it was), deleted, reply,
-- attachments (a JSON array), forward (the original's id), read ('1' once the recipient
-- has read it; direct rooms only). message:ID:reactions is a hash of "USER<tab>EMOJI" to "ID MS".
-- room:ID:messages lists the ids by clock; an id holds its own time and clock. `want` as in rooms.

local MESSAGE_FIELDS = {
	'room', 'author', 'content', 'created', 'updated', 'deleted', 'reply', 'attachments',
	'forward', 'read'
}
local DELETED_CONTENT = '[This message was deleted]'

local function message_load(id)
	local f = redis.call('HMGET', message_key(id), unpack(MESSAGE_FIELDS))
	if not f[1] then return nil end
	local m = { id = id, key = message_key(id) }
	for i, field in ipairs(MESSAGE_FIELDS) do m[field] = f[i] or nil end
	m.updated = m.updated or m.created
	return m
end

-- Users are read once per call; `known` holds those read.
local function user_known(known, id)
	known[id] = known[id] or user_load(id)
	return known[id]
end

-- The id of the other one of a direct room.
local function other_id(r, user)
	return r.a == user and r.b or r.a
end

local function reaction_json(message, user, emoji, id, at)
	return '{"id":"' .. id .. '","emoji":' .. json(emoji) ..
		',"messageId":' .. json(message) .. ',"userId":' .. json(user.id) ..
		',"userName":' .. json(user.name) .. ',"createdAt":' .. at .. '}'
end

local function reactions_json(m, known)
	local all, list = redis.call('HGETALL', m.key .. ':reactions'), {}
	for i = 1, #all, 2 do
		local user, emoji = all[i]:match('^([^\t]+)\t(.*)$')
		local id, at = all[i + 1]:match('^(%S+) (%d+)$')
		local reaction = reaction_json(m.id, user_known(known, user), emoji, id, at)
		list[#list + 1] = { id_clock(id), reaction }
	end
	table.sort(list, function(x, y) return x[1] < y[1] end)
	for i, reaction in ipairs(list) do list[i] = reaction[2] end
	return '[' .. table.concat(list, ',') .. ']'
end

-- Who a message of a direct room is for.
local function recipient_json(m, r, known)
	return optional('recipient', r.kind == 'direct' and
		json(user_known(known, other_id(r, m.author)).username))
end

-- A message of the room r, without what it does not have: most have next to nothing of it, and all
-- who hear it read it. `nested` is for one replied to or forwarded: its own reply-to is not shown.
local function message_json(m, r, known, nested)
	local author = user_known(known, m.author)
	local original = m.reply and not nested and message_load(m.reply)
	local reply_to = original and message_json(original, r, known, true)
	local reactions = m.deleted and '[]' or m.reactions or reactions_json(m, known)
	return '{"id":' .. literal(m.id) .. ',"room":' .. literal(m.room) ..
		',"kind":"' .. r.kind .. '","author":{"id":' .. json(author.id) ..
		',"username":' .. json(author.username) .. ',"name":' .. json(author.name) ..
		optional('image', author.image and author.image ~= '' and json(author.image)) ..
		'}' .. recipient_json(m, r, known) ..
		',"content":' .. json(m.deleted and DELETED_CONTENT or m.content) ..
		',"createdAt":' .. m.created .. ',"updatedAt":' .. m.updated ..
		optional('deletedAt', m.deleted) ..
		optional('replyToId', m.reply and json(m.reply)) .. optional('replyTo', reply_to) ..
		optional('attachments', not m.deleted and m.attachments) ..
		optional('reactions', reactions ~= '[]' and reactions) ..
		optional('read', m.read and 'true') .. '}'
end

-- A message of a room that the user is in.
local function message_entered(user, id, room, want)
	local r = room_entered(room, user, want)
	local m = message_load(id)
	if not m or m.room ~= room then refuse('NOMESSAGE', 'message') end
	return m, r
end

-- The same wherever it is; whoever is not in its room learns no more than that there is none.
local function message_found(user, id)
	local m = message_load(id)
	local r = m and room_load(m.room)
	if not r or not is_member(r, user) then refuse('NOMESSAGE', 'message') end
	return m, r
end

-- What an earlier send with this clientMessageId made, nil if there was none.
local function message_sent(user, cid, want)
	local id = cid ~= '' and redis.call('GET', user_key(user) .. ':sent:' .. cid)
	if not id then return nil end
	local m = message_load(id)
	local r = m and room_load(m.room)
	if not r then refuse('NOMESSAGE', 'message') end
	if want ~= '' and (want == 'direct') ~= (r.kind == 'direct') then
		refuse('INVALID', 'clientMessageId: was used in a room of another kind')
	end
	return m, r
end

-- Takes one from the user's bucket: `burst` at most, `rate` come back a second. Where the clock was
-- put back, one comes at once, and with it the new time.
local function take_token(u, rate, burst, now)
	rate, burst = tonumber(rate) or 0, tonumber(burst) or 0
	if rate <= 0 then return end
	local full = math.max(burst, 1)
	local passed = now - (u.refilled or now)
	local come = passed < 0 and 1 or passed * rate / 1000
	local tokens = math.min(full, (u.tokens or full) + come)
	if tokens < 1 then refuse('RATE', text(math.ceil((1 - tokens) / rate))) end
	redis.call('HSET', user_key(u.id), 'tokens', string.format('%.6f', tokens - 1),
		'refilled', text(now))
end

-- The room to post in, if this user may.
local function room_postable(u, id, want, known, as)
	local r = room_wanted(id, want, as)
	-- Who acts is not deleted.
	if not is_listed(r, u.id) then refuse('NOTMEMBER', as or 'room') end
	if r.kind == 'direct' and user_known(known, other_id(r, u.id)).deleted then
		refuse('FORBIDDEN', as or 'room')
	end
	return r
end

local function check_reply(id, room)
	local m = message_load(id)
	if not m or m.room ~= room then
		refuse('INVALID', 'replyTo: is not a message of this room')
	end
	if m.deleted then refuse('MSGDELETED', 'replyTo: is deleted') end
end

-- Stores a new message; m has room, author, content, created and what else it needs. The author has
-- read it.
local function message_store(r, m, cid, history_max)
	local clock = tick()
	m.id = new_id('m', m.created, clock)
	m.key = message_key(m.id)
	m.reactions = '[]'
	local set = {}
	for _, field in ipairs(MESSAGE_FIELDS) do
		if m[field] then
			set[#set + 1] = field
			set[#set + 1] = m[field]
		end
	end
	redis.call('HSET', m.key, unpack(set))
	m.updated = m.created
	redis.call('ZADD', r.key .. ':messages', text(clock), m.id)
	r.posts = redis.call('HINCRBY', r.key, 'posts', 1)
	count('messages', 1)
	redis.call('HINCRBY', r.key .. ':read', m.author, 1)
	if cid ~= '' then
		redis.call('SET', user_key(m.author) .. ':sent:' .. cid, m.id, 'EX', SENT_SECONDS)
	end
	if m.attachments then
		uploads_refer(m.attachments, 1)
		redis.call('HSET', r.key, 'attached', '1')
	end
	history_max = tonumber(history_max) or 0
	if history_max > 0 then
		local extra = redis.call('ZCARD', r.key .. ':messages') - history_max
		if extra > 0 then
			messages_drop(r.id, math.min(extra, TRIM_CHUNK), r)
		end
	end
	return clock
end

-- Stores a new message of somebody who may post it, and tells the room; `original` is the JSON of
-- what it forwards, or nil. Returns its JSON.
local function message_send(r, m, known, cid, history_max, log_max, original)
	local clock = message_store(r, m, cid, history_max)
	local posted = message_json(m, r, known)
	local rest = ',"message":' .. posted
	if r.name then rest = rest .. ',"name":' .. json(r.name) end
	if original then rest = rest .. ',"original":' .. original end
	if r.kind == 'direct' then
		rest = rest .. ',"unread":' .. unread_by(r, other_id(r, m.author))
	end
	publish(r.key,
		event_json(original and 'forwarded' or 'message', r.id, r.kind, m.author, rest),
		(tonumber(log_max) or 0) > 0 and log_max or nil, clock)
	return posted
end

-- Posts. A client_message_id seen within 600 s answers that message again and publishes nothing.
-- keys: message:ID, room:ID, room:ID:messages, room:ID:read, user:ID, user:ID:sent:CID, clock; with
--   attachments: upload:ID, uploads:idle
-- args: user room want content replyTo attachments client_message_id rate burst history_max log_max
--   ("" = none for replyTo, attachments, client_message_id; attachments: one a line, an id of an
--   upload of the user's or a JSON object; rate, history_max 0 = off; log_max 0 = as worker_hello
--   said)
-- reply: message
-- publishes: room:ID "message" (of a direct room: with how many are unread by the recipient)
-- errors: INVALID clientMessageId (its message is in a room of another kind); NOMESSAGE message (it
--   is gone); NOUSER user; USERDELETED user; NOROOM room; NOTMEMBER room; FORBIDDEN room (the other
--   of a direct room is deleted); INVALID replyTo; MSGDELETED replyTo; INVALID attachments;
--   RATE seconds
writes('message_post', function(user, room, want, content, reply, attachments, cid, rate, burst,
		history_max, log_max)
	local known = {}
	local sent, where = message_sent(user, cid, want)
	if sent then return { message_json(sent, where, known) } end
	local u = user_acting(user)
	known[user] = u
	local r = room_postable(u, room, want, known)
	if reply ~= '' then check_reply(reply, room) end
	attachments = attachments_json(user, attachments)
	local now = now_ms()
	take_token(u, rate, burst, now)
	local m = { room = room, author = user, content = content, created = text(now),
		reply = reply ~= '' and reply or nil, attachments = attachments }
	return { message_send(r, m, known, cid, history_max, log_max) }
end)

-- Changes a message's text.
-- keys: message:ID, room:ID:members, clock
-- args: user message room want content
-- reply: message
-- publishes: room:ID "edited"
-- errors: NOROOM room; NOTMEMBER room; NOMESSAGE message; NOTAUTHOR message; MSGDELETED message
writes('message_edit', function(user, message, room, want, content)
	local m, r = message_entered(user, message, room, want)
	if m.author ~= user then refuse('NOTAUTHOR', 'message') end
	if m.deleted then refuse('MSGDELETED', 'message') end
	m.content, m.updated = content, text(now_ms())
	redis.call('HSET', m.key, 'content', content, 'updated', m.updated)
	publish(r.key, event_json('edited', room, r.kind, user,
		',"messageId":' .. json(message) .. ',"content":' .. json(content) ..
		',"updatedAt":' .. m.updated))
	return { message_json(m, r, {}) }
end)

-- Deletes a message's content, attachments and reactions; the message stays.
-- keys: message:ID, message:ID:reactions, room:ID:members, clock, upload:ID, uploads:idle
-- args: user message room want
-- reply: "1" if it was deleted already else "0", deletedAt (ms)
-- publishes: room:ID "deleted", the first time
-- errors: NOROOM room; NOTMEMBER room; NOMESSAGE message; NOTAUTHOR message
writes('message_delete', function(user, message, room, want)
	local m, r = message_entered(user, message, room, want)
	if m.author ~= user then refuse('NOTAUTHOR', 'message') end
	if m.deleted then return { '1', m.deleted } end
	local at = text(now_ms())
	redis.call('HSET', m.key, 'deleted', at, 'content', '')
	redis.call('HDEL', m.key, 'attachments')
	if m.attachments then uploads_refer(m.attachments, -1) end
	redis.call('DEL', m.key .. ':reactions')
	publish(r.key, event_json('deleted', room, r.kind, user,
		',"messageId":' .. json(message) .. ',"deletedAt":' .. at))
	return { '0', at }
end)

local function reactions_check(key, user)
	local n, own = redis.call('HLEN', key), 0
	check_most('reactions', n + 1, 'The message has')
	-- Few messages have so many that one user's could be too many.
	if n < MOST.own_reactions then return end
	for _, field in ipairs(redis.call('HKEYS', key)) do
		if field:match('^[^\t]+') == user then own = own + 1 end
	end
	check_most('own_reactions', own + 1, 'The message has your')
end

-- Adds a reaction: one per user, message and emoji.
-- keys: message:ID, message:ID:reactions, room:ID:members, user:ID, clock
-- args: user message room want emoji
-- reply: reaction, "1" if it is new else "0"
-- publishes: room:ID "reacted" if new
-- errors: NOROOM room; NOTMEMBER room; NOMESSAGE message; MSGDELETED message; INVALID emoji
--   (empty); FULL (too many reactions to it, or of the user's)
writes('message_react', function(user, message, room, want, emoji)
	local m, r = message_entered(user, message, room, want)
	if m.deleted then refuse('MSGDELETED', 'message') end
	if emoji == '' then refuse('INVALID', 'emoji: is empty') end
	local key, field, u = m.key .. ':reactions', user .. '\t' .. emoji, user_load(user)
	local there = redis.call('HGET', key, field)
	if there then
		local id, at = there:match('^(%S+) (%d+)$')
		return { reaction_json(message, u, emoji, id, at), '0' }
	end
	reactions_check(key, user)
	local now = now_ms()
	local id = new_id('x', now, tick())
	redis.call('HSET', key, field, id .. ' ' .. text(now))
	local reaction = reaction_json(message, u, emoji, id, text(now))
	publish(r.key, event_json('reacted', room, r.kind, user, ',"reaction":' .. reaction))
	return { reaction, '1' }
end)

-- Takes a reaction back.
-- keys: message:ID, message:ID:reactions, room:ID:members, user:ID, clock
-- args: user message room want emoji
-- reply: the reaction that was there ("" if none), "1" if one was removed else "0"
-- publishes: room:ID "unreacted" if one was removed
-- errors: NOROOM room; NOTMEMBER room; NOMESSAGE message
writes('message_unreact', function(user, message, room, want, emoji)
	local m, r = message_entered(user, message, room, want)
	local key, field = m.key .. ':reactions', user .. '\t' .. emoji
	local there = redis.call('HGET', key, field)
	if not there then return { '', '0' } end
	redis.call('HDEL', key, field)
	publish(r.key, event_json('unreacted', room, r.kind, user,
		',"messageId":' .. json(message) .. ',"emoji":' .. json(emoji) ..
		',"userId":' .. json(user)))
	local id, at = there:match('^(%S+) (%d+)$')
	return { reaction_json(message, user_load(user), emoji, id, at), '1' }
end)

-- The message that one was forwarded from, as JSON; what that one replied to is not forwarded.
local function original_json(m, known)
	local original = m.forward and message_load(m.forward)
	local r = original and room_load(original.room)
	return r and message_json(original, r, known, true) or 'null'
end

-- Posts a message's content and attachments in another room, or in the same one again.
-- keys: those of message_post for the target, and message:ID, room:ID:members
-- args: user message room want target_room target_want client_message_id rate burst history_max
--   log_max   (room "" = whichever it is in)
-- reply: message (the new one), original (without replyTo; "null" if it is gone, or the
--   client_message_id was a plain post's)
-- publishes: room:TARGET "forwarded" (unread as in message_post)
-- errors: NOROOM room; NOTMEMBER room; NOMESSAGE message; MSGDELETED message; NOROOM targetRoom;
--   NOTMEMBER targetRoom; FORBIDDEN targetRoom; NOUSER user; USERDELETED user; INVALID
--   clientMessageId; RATE seconds
writes('message_forward', function(user, message, room, want, target, target_want, cid, rate, burst,
		history_max, log_max)
	local known = {}
	local sent, where = message_sent(user, cid, target_want)
	if sent then
		return { message_json(sent, where, known), original_json(sent, known) }
	end
	local u = user_acting(user)
	known[user] = u
	local source, from
	if room == '' then
		source, from = message_found(user, message)
	else
		source, from = message_entered(user, message, room, want)
	end
	if source.deleted then refuse('MSGDELETED', 'message') end
	local r = room_postable(u, target, target_want, known, 'targetRoom')
	local now = now_ms()
	take_token(u, rate, burst, now)
	local m = { room = target, author = user, content = source.content, created = text(now),
		attachments = source.attachments, forward = message }
	-- Read before it is trimmed: it may be the oldest of the same room.
	local original = message_json(source, from, known, true)
	return { message_send(r, m, known, cid, history_max, log_max, original), original }
end)

-- `brief`: without reactions and what they reply to, for those who don't show them.
local function add_messages(reply, ids, n, r, brief)
	local known = {}
	for i = 1, math.min(n, #ids) do
		local m = message_load(ids[i])
		if m and brief then m.reactions = '[]' end
		if m then reply[#reply + 1] = message_json(m, r, known, brief) end
	end
	return reply
end

-- One page of a room's history, newest first. Pages count from 1.
-- keys: room:ID:messages, message:ID, message:ID:reactions, user:ID
-- args: user room want page limit
-- reply: total, message…
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room
reads('message_page', function(user, room, want, page, limit)
	local r = room_entered(room, user, want)
	local list, from = r.key .. ':messages', (page - 1) * limit
	local ids = redis.call('ZRANGE', list, text(from), text(from + limit - 1), 'REV')
	return add_messages({ text(redis.call('ZCARD', list)) }, ids, #ids, r)
end)

-- Up to `limit` messages of a room that came before one, which may be gone by now, in brief,
-- and how to go on; no room is an empty one.
local function page_before(r, before, limit)
	local clock = before ~= '' and id_clock(before)
	if before ~= '' and not clock then refuse('INVALID', 'before: is not a message') end
	if not r then return { '' } end
	limit = tonumber(limit)
	local from = clock and '(' .. text(clock) or '+inf'
	local ids = redis.call('ZRANGE', r.key .. ':messages', from, '-inf', 'BYSCORE', 'REV',
		'LIMIT', 0, limit + 1)
	return add_messages({ #ids > limit and ids[limit] or '' }, ids, limit, r, true)
end
