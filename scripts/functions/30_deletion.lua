-- Deletion of accounts and rooms: marked in one call, done in chunks that survive a restart.
--
-- `deleting` and `purging` are sets of the users and rooms with work left. What is done is no
-- longer listed (user:ID:rooms, room:ID:messages), and leaves the list in the call that does it.

-- Leaves up to ROOMS_CHUNK rooms; returns how many are left.
local function account_leave_some(user)
	local budget, left = ROOMS_CHUNK, 0
	for _, kind in ipairs{ 'group', 'direct' } do
		local list = rooms_of(user, kind)
		local rooms = budget > 0 and redis.call('ZRANGE', list, 0, budget - 1) or {}
		for _, id in ipairs(rooms) do
			-- Whatever happened to the room, the list must get shorter.
			local r = room_load(id)
			if r then room_part(r, user, user, true) end
			redis.call('ZREM', list, id)
		end
		budget = budget - #rooms
		left = left + redis.call('ZCARD', list)
	end
	if left == 0 then redis.call('SREM', 'deleting', user) end
	return left
end

-- Deletes the keys of the oldest `n` messages of a room. `r` is the record of a room that goes on without
-- them, nil for one that is gone: what the members of a direct one have not read of them is no news any more.
local function messages_drop(room, n, r)
	local list = room_key(room) .. ':messages'
	local direct = r and r.kind == 'direct'
	local ids = redis.call('ZRANGE', list, 0, n - 1)
	for _, id in ipairs(ids) do
		local m = (not r or direct or r.attached) and
			redis.call('HMGET', message_key(id), 'author', 'read', 'attachments') or {}
		if direct and m[1] and not m[2] then
			redis.call('HINCRBY', r.key .. ':read', r.a == m[1] and r.b or r.a, 1)
		end
		if m[3] then uploads_refer(m[3], -1) end
		redis.call('DEL', message_key(id), message_key(id) .. ':reactions')
	end
	redis.call('ZREMRANGEBYRANK', list, 0, n - 1)
	-- Of none, Lua would count -0, which Redis takes for no number.
	if #ids > 0 then count('messages', -#ids) end
	return #ids
end

local function room_purge_some(room)
	local dropped = messages_drop(room, MESSAGES_CHUNK)
	if dropped < MESSAGES_CHUNK then redis.call('SREM', 'purging', room) end
end

-- One chunk of one account and of one room; true if there is more to do.
local function deletion_step()
	local user = redis.call('SRANDMEMBER', 'deleting')
	if user then account_leave_some(user) end
	local room = redis.call('SRANDMEMBER', 'purging')
	if room then room_purge_some(room) end
	return redis.call('EXISTS', 'deleting', 'purging') > 0
end

-- Deletes an account: marked at once; the rooms are left 100 at a time, here and in worker_lease.
-- keys: user:ID, users, deleting, user:ID:rooms, user:ID:directs, and those of the rooms left
-- args: id
-- reply: rooms still to be left
-- publishes: user:ID "user-deleted"; room:ID "left" with userDeleted true
-- errors: NOUSER user; USERDELETED user
writes('user_delete', function(id)
	local u = user_acting(id)
	local key = user_key(id)
	redis.call('HSET', key, 'deleted', text(now_ms()))
	redis.call('HDEL', key, 'hash', 'email', 'tokens', 'refilled')
	redis.call('ZREM', 'users', u.username:lower())
	redis.call('SADD', 'deleting', id)
	local actor = json(id)
	publish(key, '{"type":"user-deleted","actor":' .. actor .. ',"user":' .. actor .. '}')
	return { text(account_leave_some(id)) }
end)
