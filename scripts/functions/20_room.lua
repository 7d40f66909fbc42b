-- Rooms: groups, channels, and direct rooms of two.
--
-- room:ID is a hash: kind, name, status, owner, hash (of the password), created, posts, attached
-- ('1' once a message had attachments), and for direct rooms a and b, the two it is of.
-- room:ID:members is a zset by the clock of joining, as are user:ID:rooms and user:ID:directs,
-- the same seen from the user; rooms:public by the clock of making. room:ID:read holds per user
-- the number of posts that are not news to them: unread = posts - read.
--
-- `want` is the kind of room a caller's API means: "channel" (groups and channels), "direct", or ""
-- for any. A user's own feed tells of what the user did, too (actor = the user): each of their
-- workers must know.

local ROOM_FIELDS = {
	'kind', 'name', 'status', 'owner', 'hash', 'created', 'posts', 'a', 'b', 'attached'
}

local function room_load(id)
	local f = redis.call('HMGET', room_key(id), unpack(ROOM_FIELDS))
	if not f[1] then return nil end
	local r = { id = id, key = room_key(id) }
	for i, field in ipairs(ROOM_FIELDS) do r[field] = f[i] or nil end
	return r
end

-- The room, if it is of the wanted kind; `as` names the argument in refusals.
local function room_wanted(id, want, as)
	local r = room_load(id)
	if not r or want ~= '' and (want == 'direct') ~= (r.kind == 'direct') then
		refuse('NOROOM', as or 'room')
	end
	return r
end

local function is_listed(r, user)
	return redis.call('ZSCORE', r.key .. ':members', user) ~= false
end

-- Of a deleted account's rooms some are not left yet: it is in none of them.
local function is_member(r, user)
	return is_listed(r, user) and redis.call('SISMEMBER', 'deleting', user) == 0
end

local function room_entered(id, user, want, as)
	local r = room_wanted(id, want, as)
	if not is_member(r, user) then refuse('NOTMEMBER', as or 'room') end
	return r
end

-- The other one of a direct room.
local function room_other(r, user)
	return user_load(r.a == user and r.b or r.a)
end

-- How many posts are news to a member.
local function unread_by(r, user)
	return text((r.posts or 0) - (redis.call('HGET', r.key .. ':read', user) or 0))
end

local function room_json(r, asker)
	local member = is_member(r, asker)
	local newest = redis.call('ZRANGE', r.key .. ':messages', -1, -1)[1]
	local other = r.kind == 'direct' and user_json(room_other(r, asker)) or 'null'
	return '{"id":' .. json(r.id) .. ',"kind":"' .. r.kind .. '","name":' .. quoted(r.name) ..
		',"status":"' .. r.status .. '","owner":' .. quoted(r.owner) ..
		',"createdAt":' .. r.created ..
		',"memberCount":' .. text(redis.call('ZCARD', r.key .. ':members')) ..
		',"isMember":' .. truth(member) ..
		',"unread":' .. (member and unread_by(r, asker) or '0') ..
		',"lastMessageAt":' .. (newest and text(id_ms(newest)) or 'null') ..
		',"other":' .. other .. '}'
end

-- Where a user's rooms of this one's kind are listed.
local function rooms_of(user, kind)
	return user_key(user) .. (kind == 'direct' and ':directs' or ':rooms')
end

-- Who comes into a channel that everybody has left, owns it.
local function room_join_member(r, user)
	local at = text(tick())
	redis.call('ZADD', r.key .. ':members', at, user)
	redis.call('ZADD', rooms_of(user, r.kind), at, r.id)
	redis.call('HSET', r.key .. ':read', user, r.posts or '0')
	if not r.owner and r.kind ~= 'direct' then
		r.owner = user
		redis.call('HSET', r.key, 'owner', user)
	end
end

-- Nobody can read it any more: gone at once, its messages by and by.
local function room_drop(r)
	redis.call('DEL', r.key, r.key .. ':members', r.key .. ':read')
	if r.kind == 'direct' then redis.call('DEL', direct_key(r.a, r.b)) end
	redis.call('EXPIRE', r.key .. ':log', LOG_LINGERS)
	redis.call('EXPIRE', r.key .. ':last', LOG_LINGERS)
	redis.call('SADD', 'purging', r.id)
	count('rooms', -1)
end

-- Takes a member out and tells the room; true if the room went with them.
local function room_part(r, user, actor, deleted)
	redis.call('ZREM', r.key .. ':members', user)
	redis.call('ZREM', rooms_of(user, r.kind), r.id)
	redis.call('HDEL', r.key .. ':read', user)
	publish(r.key, event_json('left', r.id, r.kind, actor, ',"user":' .. json(user) ..
		',"userDeleted":' .. truth(deleted)))
	local heir = redis.call('ZRANGE', r.key .. ':members', 0, 0)[1]
	if not heir and r.kind ~= 'channel' then
		room_drop(r)
		return true
	end
	if r.owner == user then
		redis.call('HDEL', r.key, 'owner')
		if heir then redis.call('HSET', r.key, 'owner', heir) end
	end
	return false
end

-- One more room of that kind must be possible.
local function rooms_check(user, kind, whose)
	local n = redis.call('ZCARD', rooms_of(user, kind)) + 1
	check_most(kind == 'direct' and 'conversations' or 'rooms', n, whose)
end

-- Those named, each once, without the ones that `skip` says; all must be known and not deleted.
local function users_known(ids, skip)
	local list, seen = {}, {}
	for _, id in ipairs(ids) do
		if not seen[id] then
			seen[id] = true
			local u = user_load(id)
			if not u or u.deleted then
				refuse('INVALID', 'users: unknown user ' .. id)
			end
			if not skip(id) then
				rooms_check(id, 'group', 'The user ' .. id .. ' is in')
				list[#list + 1] = id
			end
		end
	end
	return list
end

local function room_make(r, members)
	r.created = text(now_ms())
	r.id = new_id('r', r.created, tick())
	r.key = room_key(r.id)
	local set = {}
	for _, field in ipairs(ROOM_FIELDS) do
		if r[field] then
			set[#set + 1] = field
			set[#set + 1] = r[field]
		end
	end
	redis.call('HSET', r.key, unpack(set))
	count('rooms', 1)
	for _, user in ipairs(members) do room_join_member(r, user) end
	return r
end

local function tell_members(r, type, actor, members)
	local event = event_json(type, r.id, r.kind, actor, ',"name":' .. quoted(r.name))
	for _, user in ipairs(members) do publish(user_key(user), event) end
end

-- Makes a group or a channel; the creator owns it.
-- keys: room:ID, room:ID:members, room:ID:read, room:name:NAME, rooms:public, user:ID:rooms, clock
-- args: creator kind(group|channel) name("" = none) status(PUBLIC|PRIVATE) hash("" = none) users…
-- reply: room, clock ("<epoch>-<clock>", before its first message)
-- publishes: user:ID "room-created" for each member, the creator included
-- errors: NOUSER user (creator); USERDELETED user; INVALID kind; INVALID status; INVALID name
--   (channel without); INVALID users: unknown user X; TAKEN name; FULL (one of them is in too many
--   rooms, or the creator made too many channels)
writes('room_create', function(creator, kind, name, status, hash, ...)
	user_acting(creator)
	if kind ~= 'group' and kind ~= 'channel' then
		refuse('INVALID', 'kind: is not group or channel')
	end
	if status ~= 'PUBLIC' and status ~= 'PRIVATE' then
		refuse('INVALID', 'status: is not PUBLIC or PRIVATE')
	end
	local named = kind == 'channel' and 'room:name:' .. name
	if named and name == '' then refuse('INVALID', 'name: is required') end
	local members = users_known({ ... }, function(id) return id == creator end)
	if named and redis.call('EXISTS', named) == 1 then refuse('TAKEN', 'name: is taken') end
	rooms_check(creator, kind, 'You are in')
	if named then
		check_most('channels', (redis.call('HGET', user_key(creator), 'made') or 0) + 1,
			'You have made')
		redis.call('HINCRBY', user_key(creator), 'made', 1)
	end
	table.insert(members, 1, creator)
	local r = room_make({ kind = kind, name = name ~= '' and name or nil, status = status,
		hash = hash ~= '' and hash or nil, owner = creator }, members)
	if named then redis.call('SET', named, r.id) end
	if named and status == 'PUBLIC' then
		redis.call('ZADD', 'rooms:public', text(tick()), r.id)
	end
	tell_members(r, 'room-created', creator, members)
	return { room_json(r, creator), stamp() }
end)

local function directs_check(user, other)
	rooms_check(user, 'direct', 'You have')
	rooms_check(other, 'direct', 'The other user has')
end

-- The direct room of two users, made if it is not there.
-- keys: room:direct:A:B (A, B in byte order), room:ID, room:ID:members, room:ID:read,
--   user:ID:directs, clock
-- args: user other
-- reply: room, "1" if it was made now else "0"
-- publishes: user:ID "room-created" for both when made
-- errors: INVALID users (oneself); NOUSER users (other unknown, or deleted and no room there);
--   NOUSER user, USERDELETED user; FULL (one of them has too many)
local function room_direct(user, other)
	user_acting(user)
	if user == other then refuse('INVALID', 'users: is oneself') end
	local pair = direct_key(user, other)
	local id = redis.call('GET', pair)
	if id then return { room_json(room_load(id), user), '0' } end
	local u = user_load(other)
	if not u or u.deleted then refuse('NOUSER', 'users') end
	directs_check(user, other)
	local members = { user, other }
	local r = room_make({ kind = 'direct', status = 'DIRECT', a = user, b = other }, members)
	redis.call('SET', pair, r.id)
	tell_members(r, 'room-created', user, members)
	return { room_json(r, user), '1' }
end

-- May this user hear this room? The clock is from where to hear.
-- keys: room:ID, room:ID:members, room:ID:messages, epoch, clock
-- args: user room want
-- reply: clock ("<epoch>-<clock>"), room
-- publishes: nothing
-- errors: NOROOM room (unknown, or of another kind); NOTMEMBER room
local function room_enter(user, room, want)
	local r = room_entered(room, user, want)
	return { stamp(), room_json(r, user) }
end

-- Up to n rooms of these lists after a clock, by clock: pairs of clock and id.
local function rooms_after(lists, after, n)
	local found = {}
	for _, key in ipairs(lists) do
		local got = redis.call('ZRANGE', key, '(' .. after, '+inf', 'BYSCORE',
			'LIMIT', 0, n, 'WITHSCORES')
		for i = 1, #got, 2 do found[#found + 1] = { tonumber(got[i + 1]), got[i] } end
	end
	table.sort(found, function(x, y) return x[1] < y[1] end)
	return found
end

-- The rooms a user is in, those joined first first; after them public channels when want is
-- "channel". A page may be short of limit while next is not "".
-- keys: user:ID:rooms, user:ID:directs, rooms:public, room:ID, room:ID:members, room:ID:messages,
--   epoch, clock
-- args: user want after("" or next) limit
-- reply: next ("" at the end), clock ("<epoch>-<clock>": from where to hear these rooms), room…
-- publishes: nothing
-- errors: INVALID after
reads('room_list', function(user, want, after, limit)
	local phase, from = (after == '' and 'j0' or after):match('^([jp])(%d+)$')
	if not phase then refuse('INVALID', 'after: is not a value of next') end
	limit = tonumber(limit)
	local reply = { '', stamp() }
	-- Adds what comes next of these lists, and says where to go on if that was not all.
	local function add(letter, lists, wanted)
		local room_for = limit - (#reply - 2)
		local found = rooms_after(lists, from, room_for + 1)
		for i = 1, math.min(room_for, #found) do
			local r = room_load(found[i][2])
			if r and wanted(r) then reply[#reply + 1] = room_json(r, user) end
		end
		if #found <= room_for then return end
		reply[1] = letter .. text(room_for > 0 and found[room_for][1] or from)
	end
	if phase == 'j' then
		local lists = {}
		if want ~= 'direct' then lists[1] = rooms_of(user, 'group') end
		if want ~= 'channel' then lists[#lists + 1] = rooms_of(user, 'direct') end
		add('j', lists, function() return true end)
		if reply[1] ~= '' or want ~= 'channel' then return reply end
		from = '0'
	end
	add('p', { 'rooms:public' }, function(r) return not is_member(r, user) end)
	return reply
end)

-- The feeds of all rooms that a user is in, for those who hear by being members.
-- keys: user:ID:rooms, user:ID:directs, epoch, clock
-- args: user want
-- reply: clock ("<epoch>-<clock>": from where to hear them), feed…
-- publishes: nothing
-- errors: none
reads('room_feeds', function(user, want)
	local reply = { stamp() }
	for _, kind in ipairs{ 'group', 'direct' } do
		if want == '' or (want == 'direct') == (kind == 'direct') then
			for _, id in ipairs(redis.call('ZRANGE', rooms_of(user, kind), 0, -1)) do
				reply[#reply + 1] = room_key(id)
			end
		end
	end
	return reply
end)

-- The ids of up to `limit` members, and the value of `after` for those that follow, "" at the end.
local function members_after(r, after, limit)
	if not after:find('^%d*$') then refuse('INVALID', 'after: is not a value of next') end
	limit = tonumber(limit)
	local found = rooms_after({ r.key .. ':members' }, after == '' and '0' or after, limit + 1)
	local ids = {}
	for i = 1, math.min(limit, #found) do ids[i] = found[i][2] end
	return ids, #found > limit and text(found[limit][1]) or ''
end

-- The members, those who joined first first.
-- keys: room:ID, room:ID:members, user:ID
-- args: user room after("" or next) limit
-- reply: next ("" at the end), then pairs role(owner|member), user
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room; INVALID after
reads('room_members', function(user, room, after, limit)
	local r = room_entered(room, user, '')
	local members, next = members_after(r, after, limit)
	local reply = { next }
	for _, id in ipairs(members) do
		reply[#reply + 1] = id == r.owner and 'owner' or 'member'
		reply[#reply + 1] = user_json(user_load(id))
	end
	return reply
end)

-- A room with its members, those who joined first first, and which of them are online.
-- keys: room:ID, room:ID:members, room:ID:messages, room:ID:read, user:ID, online
-- args: user room after("" or next) limit
-- reply: next ("" at the end), room, then pairs "1" if online else "0", user
-- publishes: nothing
-- errors: NOROOM room; NOTMEMBER room; INVALID after
reads('room_show', function(user, room, after, limit)
	local r = room_entered(room, user, '')
	local members, next = members_after(r, after, limit)
	local online = #members > 0 and redis.call('SMISMEMBER', 'online', unpack(members))
	local reply = { next, room_json(r, user) }
	for i, id in ipairs(members) do
		reply[#reply + 1] = text(online[i])
		reply[#reply + 1] = user_json(user_load(id))
	end
	return reply
end)

local function members_check(r, more)
	check_most('members', redis.call('ZCARD', r.key .. ':members') + more, 'The room has')
end

-- The room hears first: to those added it begins at the clock of their own event.
local function room_take_in(r, actor, users)
	for _, user in ipairs(users) do room_join_member(r, user) end
	if #users == 0 then return end
	publish(r.key, event_json('joined', r.id, r.kind, actor, ',"users":' .. quoted_list(users)))
	tell_members(r, 'added', actor, users)
end

-- Adds users: any member adds; who is none adds only themselves, and only to a public channel.
-- keys: room:ID, room:ID:members, room:ID:read, user:ID:rooms, user:ID, clock
-- args: user room users…
-- reply: count of those added, their ids…
-- publishes: room:ID "joined" (one, if any was added), then user:ID "added" for each added (oneself
--   too)
-- errors: NOROOM room; INVALID room (direct); NOTMEMBER room; FORBIDDEN room (oneself, not a public
--   channel); INVALID users (none; unknown user X); NOUSER user, USERDELETED user; FULL (the room
--   has too many members, or one of them is in too many rooms)
local function room_add(user, room, ...)
	local r, ids = room_wanted(room, ''), { ... }
	user_acting(user)
	if r.kind == 'direct' then refuse('INVALID', 'room: is direct') end
	if not is_member(r, user) then
		for _, id in ipairs(ids) do
			if id ~= user then refuse('NOTMEMBER', 'room') end
		end
		if r.kind ~= 'channel' or r.status ~= 'PUBLIC' then refuse('FORBIDDEN', 'room') end
	end
	if #ids == 0 then refuse('INVALID', 'users: is empty') end
	local added = users_known(ids, function(id) return is_member(r, id) end)
	members_check(r, #added)
	room_take_in(r, user, added)
	return { text(#added), unpack(added) }
end

-- Adds users, as a member; who is none does not add even themselves.
-- keys: as room_add
-- args: user room users…
-- reply: as room_add
-- publishes: as room_add
-- errors: NOROOM room; NOTMEMBER room; INVALID room (direct); INVALID users (none; unknown user X);
--   FULL as room_add
writes('room_invite', function(user, room, ...)
	room_entered(room, user, '')
	return room_add(user, room, ...)
end)

-- Takes a member out: the owner anyone, all others themselves.
-- keys: room:ID, room:ID:members, room:ID:read, user:ID:rooms, purging, clock
-- args: user room target
-- reply: "1" if the room went with its last member (groups), else "0"
-- publishes: room:ID "left", then user:ID "removed" on the target's feed (leaving oneself too)
-- errors: NOROOM room; NOTMEMBER room; INVALID room (direct); FORBIDDEN room; NOUSER users (target
--   not a member)
local function room_remove(user, room, target)
	local r = room_entered(room, user, '')
	if r.kind == 'direct' then refuse('INVALID', 'room: is direct') end
	if target ~= user and r.owner ~= user then refuse('FORBIDDEN', 'room') end
	if not is_member(r, target) then refuse('NOUSER', 'users') end
	local gone = room_part(r, target, user, false)
	publish(user_key(target), event_json('removed', r.id, r.kind, user, ''))
	return { gone and '1' or '0' }
end

-- A channel by its name, and the hash that a password is compared with; where there is something to
-- compare, the try counts as a wrong one until room_join, or password_right.
-- keys: room:name:NAME, room:ID, room:ID:members, wrong:room:ID:user:ID
-- args: user name limit(of wrong passwords a minute, 0 = off) tries("1": with a password, else "0")
-- reply: room, hash ("" = it has no password), tried ("" = nothing was counted)
-- publishes: nothing
-- errors: NOROOM room; RATE seconds (a room with a password, the user no member)
writes('room_try', function(user, name, limit, tries)
	local id = redis.call('GET', 'room:name:' .. name)
	local r = id and room_load(id)
	if not r then refuse('NOROOM', 'room') end
	local tried = ''
	if r.hash and not is_member(r, user) then
		local look = tries == '1' and passwords.try or passwords.check
		tried = look('room:' .. id .. ':user:' .. user, limit) or ''
	end
	return { room_json(r, user), r.hash or '', tried }
end)

-- Joins a channel by oneself, with the hash that the password was found to fit ("" for public
-- ones).
-- keys: as room_add, and wrong:room:ID:user:ID
-- args: user room hash tried("" or not given: none; room_try's)
-- reply: room
-- publishes: as room_add
-- errors: NOROOM room (no channel); TAKEN room (member already); FORBIDDEN room (private: no
--   password, or another by now); NOUSER user; USERDELETED user; FULL as room_add
writes('room_join', function(user, room, hash, tried)
	local r = room_wanted(room, 'channel')
	if r.kind ~= 'channel' then refuse('NOROOM', 'room') end
	user_acting(user)
	if is_member(r, user) then refuse('TAKEN', 'room: is joined already') end
	if r.status ~= 'PUBLIC' and (not r.hash or hash ~= r.hash) then
		refuse('FORBIDDEN', 'room')
	end
	rooms_check(user, r.kind, 'You are in')
	members_check(r, 1)
	passwords.give_back('room:' .. room .. ':user:' .. user, tried)
	room_take_in(r, user, { user })
	return { room_json(r, user) }
end)

writes('room_direct', room_direct)
writes('room_add', room_add)
writes('room_remove', room_remove)
reads('room_enter', room_enter)
