-- Sessions: what a Socket.IO client needs to come back as if it had never been away, at any worker and
-- after any kind of death.
--
-- session:PID is a hash: user, api, sid, worker (who serves it, or did last), take (how often it was
-- taken up), window (for how many ms it may be taken up again), and f:FEED per feed it follows, the
-- clock from where. While its socket lives it has no TTL; worker:NAME:sessions names those that get one
-- when the worker is swept.

local function session_key(pid) return 'session:' .. escaped(pid) end
local function sessions_of(worker) return 'worker:' .. worker .. ':sessions' end

-- "<epoch>-<clock>" of a client, or nil: it can be anything.
local function stamp_of(s)
	local epoch, clock = s:match('^(%d+)-(%d+)$')
	if not epoch or #epoch > 6 or #clock > 14 then return nil end
	return { epoch = tonumber(epoch), clock = tonumber(clock), text = s }
end

-- What happened after `at` is all known: it lies in this epoch, or before the last one was lost.
local function is_kept(at)
	local now = redis.call('MGET', 'epoch', 'epoch:start', 'clock')
	local epoch, start = tonumber(now[1] or 1), tonumber(now[2] or 0)
	if at.epoch == epoch then return at.clock <= tonumber(now[3] or 0) end
	return at.epoch == epoch - 1 and at.clock <= start
end

-- Whether a feed's log still has all that came after `since`.
local function reaches_back(feed, since)
	local first = redis.call('XRANGE', feed .. ':log', '(' .. since.text, '+', 'COUNT', 1)[1]
	return not first or not entry_before(since, stamp_of(first[2][2]))
end

-- Membership may have ended; a user's own feed is never left.
local function may_follow(feed, user)
	return feed:sub(1, 5) ~= 'room:' or redis.call('ZSCORE', feed .. ':members', user) ~= false
end

-- The feeds and from where, as pairs, or nil: something can't be made good any more.
local function feeds_from(key, h, offset)
	local pairs_ = {}
	for field, joined in pairs(h) do
		local feed = field:match('^f:(.*)$')
		local since = feed and stamp_of(joined)
		if since and offset and entry_before(since, offset) then since = offset end
		if feed and not may_follow(feed, h.user) then
			redis.call('HDEL', key, field)
		elseif feed then
			if not since or not is_kept(since) or not reaches_back(feed, since) then return nil end
			pairs_[#pairs_ + 1] = feed
			pairs_[#pairs_ + 1] = since.text
		end
	end
	return pairs_
end

local function hash_of(key)
	local list, h = redis.call('HGETALL', key), {}
	for i = 1, #list, 2 do h[list[i]] = list[i + 1] end
	return h
end

-- Takes up a session for a worker; who had it before is told, in case it has not noticed.
local function session_resume(pid, user, feed, api, offset, worker)
	local key = session_key(pid)
	local h = hash_of(key)
	local from = offset ~= '' and stamp_of(offset)
	if h.user ~= user or h.api ~= api or offset ~= '' and not from then return nil end
	local feeds = feeds_from(key, h, from)
	if not feeds then return nil end
	local take = redis.call('HINCRBY', key, 'take', 1)
	redis.call('HSET', key, 'worker', worker)
	redis.call('PERSIST', key)
	redis.call('SREM', sessions_of(h.worker), pid)
	redis.call('SADD', sessions_of(worker), pid)
	redis.call('PUBLISH', 'worker:' .. h.worker, '{"type":"resumed","feed":' .. json(feed) ..
		',"session":' .. json(pid) .. ',"take":' .. text(take) .. '}')
	return { pid, h.sid, text(take), '1', unpack(feeds) }
end

-- Who bears this token comes by a socket: user_enter, and the session it had, or a new one.
-- keys: those of user_enter; session:PID, worker:NAME:sessions, FEED:log of the feeds it followed
-- args: those of user_enter, then pid("" = none) offset("" = none) api worker new_pid new_sid window_ms
-- reply: user, clock, feed, pid, sid, take, "1" if it was recovered else "0", then pairs feed since
-- publishes: worker:NAME "resumed" to the worker that had it
-- errors: those of user_enter
local function user_connect(id, name, username, image, email, provision, fallback,
		pid, offset, api, worker, new_pid, new_sid, window)
	local entered = user_enter(id, name, username, image, email, provision, fallback)
	local clock, feed = entered[2], entered[3]
	local session = pid ~= '' and session_resume(pid, id, feed, api, offset, worker)
	if not session then
		redis.call('HSET', session_key(new_pid), 'user', id, 'api', api, 'sid', new_sid,
			'worker', worker, 'take', '1', 'window', window, 'f:' .. feed, clock)
		redis.call('SADD', sessions_of(worker), new_pid)
		session = { new_pid, new_sid, '1', '0' }
	end
	return { entered[1], clock, feed, unpack(session) }
end

local function is_taken(key, take)
	return redis.call('HGET', key, 'take') == take
end

-- room_enter for a socket: from now on its session follows the room. A room joined again is followed from
-- where it was.
-- keys: those of room_enter; session:PID
-- args: user room want pid take
-- reply: that of room_enter
-- publishes: nothing
-- errors: those of room_enter
local function room_follow(user, room, want, pid, take)
	local entered = room_enter(user, room, want)
	local key = session_key(pid)
	if is_taken(key, take) then redis.call('HSETNX', key, 'f:' .. room_key(room), entered[1]) end
	return entered
end

-- A socket left a room.
-- keys: session:PID
-- args: pid take room
-- reply: "1" if the session followed it, else "0"
-- publishes: nothing
-- errors: none
local function session_unfollow(pid, take, room)
	local key = session_key(pid)
	local left = is_taken(key, take) and redis.call('HDEL', key, 'f:' .. room_key(room)) or 0
	return { text(left) }
end

-- A socket is over: its session may be taken up again for `window` ms, or goes at once.
-- keys: session:PID, worker:NAME:sessions
-- args: pid take window_ms("0" = goes)
-- reply: "1", or "0" if another socket has taken it up
-- publishes: nothing
-- errors: none
local function session_end(pid, take, window)
	local key = session_key(pid)
	if not is_taken(key, take) then return { '0' } end
	redis.call('SREM', sessions_of(redis.call('HGET', key, 'worker')), pid)
	if window == '0' then
		redis.call('DEL', key)
	else
		redis.call('PEXPIRE', key, window)
	end
	return { '1' }
end

-- The sessions of a worker that is gone, some of them; true when that was all.
local function sessions_sweep(worker)
	local pids = redis.call('SPOP', sessions_of(worker), SESSIONS_CHUNK)
	for _, pid in ipairs(pids) do
		local window = redis.call('HGET', session_key(pid), 'window')
		if window then redis.call('PEXPIRE', session_key(pid), window) end
	end
	return #pids < SESSIONS_CHUNK
end

writes('user_connect', user_connect)
writes('room_follow', room_follow)
writes('session_unfollow', session_unfollow)
writes('session_end', session_end)
