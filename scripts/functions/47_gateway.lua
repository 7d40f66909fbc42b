-- Rooms as the gateway API calls them: a channel by its name, a group that has a name by NAME#ID, a
-- direct room by the usernames of its two, A/B, in the byte order of their lower-case forms.
--
-- Channels have no slash in their names, usernames neither slash nor #. So only a channel may be
-- called as a group is: to the members of that group its name means the group.

-- One local for all: a chunk of Lua has room for 200.
local gateway = {
	ROOMS = 50,              -- of which a history tells …
	LOOKED_AT = 1000,        -- … at most, among so many that the user joined last
	MESSAGE_BYTES = 150,     -- what a message takes beside its text, about
}

-- Nil for a group without a name.
function gateway.name_of(r, known)
	if r.kind == 'channel' then return r.name end
	if r.kind == 'group' then return r.name and r.name .. '#' .. r.id end
	local a, b = user_known(known, r.a).username, user_known(known, r.b).username
	if bytes_before(b:lower(), a:lower()) then a, b = b, a end
	return a .. '/' .. b
end

function gateway.group_id(user, name)
	local id = name:match('#(r%x+)$')
	local r = id and room_load(id)
	return r and r.kind == 'group' and gateway.name_of(r) == name and is_member(r, user) and id
end

-- Of two in any case and order; nobody learns of a room of two others.
function gateway.direct_id(user, one, other)
	local a, b = username_holder(one), username_holder(other)
	if not a or not b or a ~= user and b ~= user then return nil end
	return redis.call('GET', direct_key(a, b))
end

-- The room of that name, where the user may or may not be a member.
function gateway.id_of(user, name)
	local one, other = name:match('^([^/]+)/([^/]+)$')
	local id = gateway.group_id(user, name) or
		one and gateway.direct_id(user, one, other) or
		not one and redis.call('GET', 'room:name:' .. name)
	return id or refuse('NOROOM', 'room')
end

function gateway.entered(user, name)
	return room_entered(gateway.id_of(user, name), user, '')
end

-- Posts in a room by its name. A client_message_id seen within 600 s answers that message again and
-- publishes nothing.
-- keys: room:name:NAME, user:name:NAME, room:direct:A:B, and those of message_post
-- args: user name content client_message_id rate burst history_max log_max (as in message_post)
-- reply: the room's name, message
-- publishes: room:ID "message"
-- errors: INVALID clientMessageId (its message is in a room without a name); NOMESSAGE message (it
--   is gone); NOUSER user; USERDELETED user; NOROOM room; NOTMEMBER room; FORBIDDEN room (the other
--   of a direct room is deleted); RATE seconds
writes('gateway_post', function(user, name, content, cid, rate, burst, history_max, log_max)
	local known = {}
	local sent, where = message_sent(user, cid, '')
	if sent then
		local called = gateway.name_of(where, known)
		if not called then
			refuse('INVALID', 'clientMessageId: was used in a room without a name')
		end
		return { called, message_json(sent, where, known) }
	end
	local u = user_acting(user)
	known[user] = u
	local r = room_postable(u, gateway.id_of(user, name), '', known)
	local now = now_ms()
	take_token(u, rate, burst, now)
	local m = { room = r.id, author = user, content = content, created = text(now) }
	return { gateway.name_of(r, known), message_send(r, m, known, cid, history_max, log_max) }
end)

-- Opens the direct room with the user of that name, or finds it.
-- keys: user:name:NAME, and those of room_direct
-- args: user username(any case)
-- reply: the room's name, "1" if it was made now else "0"
-- publishes: as room_direct
-- errors: NOUSER users (unknown, or deleted and no room there), and those of room_direct
writes('gateway_direct', function(user, username)
	local other = username_holder(username)
	if not other then refuse('NOUSER', 'users') end
	local made = room_direct(user, other)[2]
	return { gateway.name_of({ kind = 'direct', a = user, b = other }, {}), made }
end)

-- Leaves a room.
-- keys: room:name:NAME, user:name:NAME, room:direct:A:B, and those of room_remove
-- args: user name
-- reply: that of room_remove
-- publishes: as room_remove
-- errors: NOROOM room; NOTMEMBER room; INVALID room (direct)
writes('gateway_leave', function(user, name)
	return room_remove(user, gateway.id_of(user, name), user)
end)

-- The user's rooms that have a name, those joined first first. A page may be short of limit while
-- next is not "".
-- keys: user:ID:rooms, user:ID:directs, room:ID, user:ID
-- args: user after("" or next) limit
-- reply: next ("" at the end), then triples name, status, role(owner|member)
-- publishes: nothing
-- errors: INVALID after
reads('gateway_rooms', function(user, after, limit)
	if not after:find('^%d*$') then refuse('INVALID', 'after: is not a value of next') end
	limit = tonumber(limit)
	local lists = { rooms_of(user, 'group'), rooms_of(user, 'direct') }
	local found = rooms_after(lists, after == '' and '0' or after, limit + 1)
	local reply, known = { #found > limit and text(found[limit][1]) or '' }, {}
	for i = 1, math.min(limit, #found) do
		local r = room_load(found[i][2])
		local name = r and gateway.name_of(r, known)
		if name then
			reply[#reply + 1] = name
			reply[#reply + 1] = r.status
			reply[#reply + 1] = r.owner == user and 'owner' or 'member'
		end
	end
	return reply
end)

-- The members of a room, those who joined first first.
-- keys: room:name:NAME, user:name:NAME, room:direct:A:B, room:ID, room:ID:members, user:ID, online
-- args: user name after("" or next) limit
-- reply: next ("" at the end), then pairs role(owner|member), user (with whether they are online)
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room; INVALID after
reads('gateway_members', function(user, name, after, limit)
	local r = gateway.entered(user, name)
	if not after:find('^%d*$') then refuse('INVALID', 'after: is not a value of next') end
	limit = tonumber(limit)
	local found = rooms_after({ r.key .. ':members' }, after == '' and '0' or after, limit + 1)
	local reply, ids = { #found > limit and text(found[limit][1]) or '' }, {}
	for i = 1, math.min(limit, #found) do ids[i] = found[i][2] end
	if #ids == 0 then return reply end
	local online = redis.call('SMISMEMBER', 'online', unpack(ids))
	for i, id in ipairs(ids) do
		reply[#reply + 1] = id == r.owner and 'owner' or 'member'
		reply[#reply + 1] = user_json(user_load(id), online[i] == 1)
	end
	return reply
end)

-- What came before a message of a room, newest first.
-- keys: room:name:NAME, user:name:NAME, room:direct:A:B, and those of room_posts
-- args: user name before("" = from the newest) limit
-- reply: the room's name, next ("" at the end, else the value for before), message… (as in
--   room_posts)
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room; INVALID before
reads('gateway_messages', function(user, name, before, limit)
	local r = gateway.entered(user, name)
	local reply = page_before(r, before, limit)
	table.insert(reply, 1, gateway.name_of(r, {}))
	return reply
end)

-- The rooms joined last, by what happened in them last.
function gateway.active(user)
	local found = {}
	for _, kind in ipairs{ 'group', 'direct' } do
		local got = redis.call('ZRANGE', rooms_of(user, kind), 0, gateway.LOOKED_AT - 1,
			'REV', 'WITHSCORES')
		for i = 1, #got, 2 do found[#found + 1] = { tonumber(got[i + 1]), got[i] } end
	end
	local function later(x, y) return x[1] > y[1] end
	table.sort(found, later)
	for i = #found, gateway.LOOKED_AT + 1, -1 do found[i] = nil end
	local feeds = {}
	for i, room in ipairs(found) do feeds[i] = room_key(room[2]) end
	for i, last in ipairs(feeds_last(feeds)) do
		if last then found[i][1] = math.max(found[i][1], tonumber(last:match('%d+$'))) end
	end
	table.sort(found, later)
	return found
end

-- The last messages of a room, oldest first, as many as fit; returns the bytes they take.
function gateway.add_past(reply, r, each, bytes, known)
	local list, past, taken = r.key .. ':messages', {}, 0
	local ids = each > 0 and redis.call('ZRANGE', list, 0, each - 1, 'REV') or {}
	for _, id in ipairs(ids) do
		local m = redis.call('HMGET', message_key(id), 'author', 'content', 'created',
			'deleted')
		if m[1] then
			local said = json(m[4] and DELETED_CONTENT or m[2])
			local size = #said + gateway.MESSAGE_BYTES
			if taken + size > bytes then break end
			taken = taken + size
			past[#past + 1] = { id, user_known(known, m[1]).username, m[3], said }
		end
	end
	reply[#reply + 1] = text(#past)
	for i = #past, 1, -1 do
		for _, part in ipairs(past[i]) do reply[#reply + 1] = part end
	end
	return taken
end

-- The last messages of the rooms that have a name and were most recently active, 50 of them, found
-- among the 1,000 that the user joined last. Where messages are long there are fewer: each room has
-- its share of `bytes`, and of what those before it left.
-- keys: user:ID:rooms, user:ID:directs, room:ID, room:ID:last, room:ID:messages, message:ID,
--   user:ID, epoch, clock
-- args: user each(messages of a room) bytes
-- reply: clock ("<epoch>-<clock>": from where to hear these rooms), then per room name, id, how
--   many messages, and of each four: id, username, createdAt, text as JSON; oldest first
-- publishes: nothing
-- errors: none
reads('gateway_history', function(user, each, bytes)
	local rooms, known, reply = {}, {}, { stamp() }
	each, bytes = tonumber(each), tonumber(bytes)
	for _, active in ipairs(gateway.active(user)) do
		local r = room_load(active[2])
		local name = r and gateway.name_of(r, known)
		if name then rooms[#rooms + 1] = { name, r } end
		if #rooms == gateway.ROOMS then break end
	end
	for i, room in ipairs(rooms) do
		local name, r = unpack(room)
		reply[#reply + 1] = name
		reply[#reply + 1] = r.id
		bytes = bytes - gateway.add_past(reply, r, each, bytes / (#rooms - i + 1), known)
	end
	return reply
end)
