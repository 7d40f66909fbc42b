-- Deletion of accounts, rooms and old messages: marked in one call, done in chunks
-- that survive a restart.
--
-- `deleting` and `purging` are sets of the users and rooms with work left. What is done is no
-- longer listed (user:ID:rooms, room:ID:messages), and leaves the list in the call that does it.
--
-- A post trims its own room. When less is kept than before (`history-max`, what workers said last;
-- 0 = all), rooms in which nobody posts have to be trimmed too: `trimming` is there until all
-- of them are, and says how far the search for them has come.

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

-- Deletes the keys of the oldest `n` messages of a room. `r` is the record of a room that goes on
-- without them, nil for one that is gone: what the members of a direct one have not read of them
-- is no news any more.
local function messages_drop(room, n, r)
	-- Up to the rank of -1 would be all of them.
	if n == 0 then return 0 end
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

local function history_keep(max)
	local before = tonumber(redis.call('GET', 'history-max')) or 0
	redis.call('SET', 'history-max', text(max))
	if max == 0 then
		redis.call('DEL', 'trimming')
	elseif before == 0 or max < before then
		redis.call('SET', 'trimming', '0')
	end
end

-- Up to MESSAGES_CHUNK messages too many of the rooms among these keys; true if that was all.
local function rooms_trim(keys, max)
	local budget = MESSAGES_CHUNK
	for _, key in ipairs(keys) do
		local id = key:match('^room:(r%x+):messages$')
		-- The messages of one that is gone are `purging`.
		local r = id and room_load(id)
		local extra = r and redis.call('ZCARD', key) - max or 0
		if extra > budget then
			messages_drop(id, budget, r)
			return false
		end
		if extra > 0 then budget = budget - messages_drop(id, extra, r) end
	end
	return true
end

-- Goes on only when the rooms found are done with: a cursor is good for any number of times.
local function history_trim_some(from)
	local found = redis.call('SCAN', from, 'MATCH', 'room:*:messages', 'COUNT', TRIM_SCAN)
	if not rooms_trim(found[2], tonumber(redis.call('GET', 'history-max'))) then return end
	if found[1] == '0' then
		redis.call('DEL', 'trimming')
	else
		redis.call('SET', 'trimming', found[1])
	end
end

-- One chunk of one account, of one room, and of the rooms that are to be trimmed;
-- true if there is more to do.
local function deletion_step()
	local user = redis.call('SRANDMEMBER', 'deleting')
	if user then account_leave_some(user) end
	local room = redis.call('SRANDMEMBER', 'purging')
	if room then room_purge_some(room) end
	local from = redis.call('GET', 'trimming')
	if from then history_trim_some(from) end
	return redis.call('EXISTS', 'deleting', 'purging', 'trimming') > 0
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
