-- Users: accounts made here, and those whose tokens another service signs.
--
-- user:ID is a hash: username, name, image, email, hash (of the password), created, deleted (ms),
-- and tokens and refilled, the bucket of message-rate. user:name:NAME holds the id of a lower-case
-- username for ever; `users` is a zset of the usernames in use, all of score 0, for listing them.

local USER_FIELDS = { 'username', 'name', 'image', 'email', 'deleted', 'tokens', 'refilled' }

local function user_load(id)
	local f = redis.call('HMGET', user_key(id), unpack(USER_FIELDS))
	if not f[1] then return nil end
	return { id = id, username = f[1], name = f[2], image = f[3], email = f[4], deleted = f[5],
		tokens = f[6], refilled = f[7] }
end

-- `online` is said where it is asked for.
local function user_json(u, online)
	return '{"id":' .. json(u.id) .. ',"username":' .. json(u.username) ..
		',"name":' .. json(u.name) .. ',"image":' .. quoted(u.image) ..
		',"email":' .. quoted(u.email) .. ',"deleted":' .. truth(u.deleted) ..
		(online == nil and '' or ',"online":' .. truth(online)) .. '}'
end

-- The user who acts: known and not deleted.
local function user_acting(id)
	local u = user_load(id)
	if not u then refuse('NOUSER', 'user') end
	if u.deleted then refuse('USERDELETED', 'user') end
	return u
end

local function username_valid(name)
	return #name <= 32 and name:find('^[A-Za-z0-9_.-]+$') ~= nil
end

local function username_holder(name)
	return redis.call('GET', 'user:name:' .. name:lower())
end

local function user_make(u)
	local name = u.username:lower()
	redis.call('SET', 'user:name:' .. name, u.id)
	redis.call('ZADD', 'users', 0, name)
	local set = { 'username', u.username, 'name', u.name, 'created', text(now_ms()) }
	for _, field in ipairs{ 'image', 'email', 'hash' } do
		if u[field] and u[field] ~= '' then
			set[#set + 1] = field
			set[#set + 1] = u[field]
		end
	end
	redis.call('HSET', user_key(u.id), unpack(set))
	return u
end

-- What the token says now; nothing is written when it says what we know.
local function user_update(u, said)
	local set = {}
	for field, value in pairs(said) do
		if value ~= '' and value ~= u[field] then
			u[field] = value
			set[#set + 1] = field
			set[#set + 1] = value
		end
	end
	if #set > 0 then redis.call('HSET', user_key(u.id), unpack(set)) end
end

-- Who bears this token: created at first sight, updated by what the token says now.
-- keys: user:ID, user:name:NAME, users
-- args: id name username image email provision(1|0) fallback_username   ("" = not said)
-- reply: user, clock ("<epoch>-<clock>"), feed (the name of the user's feed: "user:ID", ID escaped)
-- publishes: nothing
-- errors: USERDELETED user; NOUSER user (unknown and provision is 0); INVALID id
local function user_enter(id, name, username, image, email, provision, fallback)
	if #id > 128 or not id:find('^[ -~]+$') then
		refuse('INVALID', 'id: is not 1 to 128 characters of printable ASCII')
	end
	local u = user_load(id)
	if u and u.deleted then refuse('USERDELETED', 'user') end
	if u then
		user_update(u, { name = name, image = image, email = email })
	else
		if provision ~= '1' then refuse('NOUSER', 'user') end
		if not username_valid(username) or username_holder(username) then
			username = fallback
		end
		-- Somebody may have taken the fallback on purpose, and what comes after it.
		local seed = id
		while username_holder(username) do
			username = 'user-' .. redis.sha1hex(seed):sub(1, 27)
			seed = username
		end
		u = user_make{ id = id, username = username, name = name ~= '' and name or username,
			image = image, email = email }
	end
	return { user_json(u), stamp(), user_key(id) }
end

-- One user.
-- keys: user:ID
-- args: id
-- reply: user (a deleted one too)
-- publishes: nothing
-- errors: NOUSER user
reads('user_get', function(id)
	local u = user_load(id)
	if not u then refuse('NOUSER', 'user') end
	return { user_json(u) }
end)

-- All users that are not deleted, by lower-case username.
-- keys: users, user:name:NAME, user:ID, online
-- args: after("" or a username) limit
-- reply: next ("" at the end, else the value for after), user… (with whether they are online)
-- publishes: nothing
-- errors: none
reads('user_list', function(after, limit)
	local from = after == '' and '-' or '(' .. after:lower()
	limit = tonumber(limit)
	local names = redis.call('ZRANGE', 'users', from, '+', 'BYLEX', 'LIMIT', 0, limit + 1)
	local reply, ids = { #names > limit and names[limit] or '' }, {}
	for i = 1, math.min(limit, #names) do ids[i] = username_holder(names[i]) end
	if #ids == 0 then return reply end
	local online = redis.call('SMISMEMBER', 'online', unpack(ids))
	for i, id in ipairs(ids) do
		reply[i + 1] = user_json(user_load(id), online[i] == 1)
	end
	return reply
end)

-- Signs up.
-- keys: user:ID, user:name:NAME, users, clock
-- args: username name image hash   (name and image may be "")
-- reply: user
-- publishes: nothing
-- errors: INVALID username; TAKEN username
writes('user_create', function(username, name, image, hash)
	if not username_valid(username) then
		refuse('INVALID', 'username: is not 1 to 32 of letters, digits, _ . -')
	end
	if username_holder(username) then refuse('TAKEN', 'username: is taken') end
	return { user_json(user_make{ id = new_id('u', now_ms(), tick()), username = username,
		name = name ~= '' and name or username, image = image, hash = hash }) }
end)

-- What a password is compared with; the try counts as a wrong one until password_right.
-- keys: wrong:SUBJECT, user:name:NAME, user:ID
-- args: username limit(0 = off)
-- reply: tried (for password_right; "" = off), id, hash, user (these three "": unknown, deleted, or
--   without a password)
-- publishes: nothing
-- errors: RATE seconds (known user or not)
writes('password_try', function(username, limit)
	local tried = passwords.try(username:lower(), limit)
	local id = username_holder(username)
	local u = id and user_load(id)
	local hash = u and redis.call('HGET', user_key(id), 'hash')
	if not hash or u.deleted then return { tried, '', '', '' } end
	return { tried, id, hash, user_json(u) }
end)

-- A try did not come to a wrong password: it was right, or not compared at all. The subject is a
-- lower-case username, or room:ID:user:ID.
-- keys: wrong:SUBJECT
-- args: subject tried
-- reply: "1"
-- publishes: nothing
-- errors: none
writes('password_right', function(subject, tried)
	passwords.give_back(subject, tried)
	return { '1' }
end)

writes('user_enter', user_enter)
