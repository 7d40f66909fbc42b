-- Sessions: what a Socket.IO client needs to come back as if it had never been away, at any worker
-- and after any kind of death.
--
-- session:PID is a hash: user, api, sid, worker (who serves it, or did last), take (how often it
-- was taken up), by (if it was: the new_pid of who did that last), window (for how many ms it may
-- be taken up again), and f:FEED per feed it follows, the clock from where (of presence:…, a user
-- who is waited for: as of when the state was told).
-- While its socket lives it has no TTL; worker:NAME:sessions names those that get one when
-- the worker is swept.

-- What a worker says last can arrive after it was swept. So one without a lease gets one here,
-- which nobody renews if it is dead; to worker_lease a living one is still new.
local function worker_expect(name)
	local ends = text(now_ms() + UNLEASED_MS)
	if redis.call('ZADD', 'workers', 'NX', ends, name) == 1 then
		redis.call('SADD', 'unleased', name)
	end
end

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

-- Whether the logs of all these feeds, a list of { feed, since }, still have what came after.
-- Most rooms are silent most of the time: their last entry says enough.
local function logs_reach_back(feeds)
	local names = {}
	for i, f in ipairs(feeds) do names[i] = f.feed end
	for i, last in ipairs(feeds_last(names)) do
		local f = feeds[i]
		if last and entry_before(f.since, stamp_of(last)) then
			local first = redis.call('XRANGE', f.feed .. ':log',
				'(' .. f.since.text, '+', 'COUNT', 1)[1]
			if not first or entry_before(f.since, stamp_of(first[2][2])) then
				return false
			end
		end
	end
	return true
end

-- Membership may have ended; a user's own feed is never left.
local function may_follow(feed, user)
	return feed:sub(1, 5) ~= 'room:' or redis.call('ZSCORE', feed .. ':members', user) ~= false
end

-- A state channel has no log: whoever comes back to it is told the state as it is.
local function is_logged(feed)
	return feed:sub(1, 9) ~= 'presence:'
end

local function later(x, y)
	return entry_before(x, y) and y or x
end

-- The feeds that a session names, as { feed, since }, or nil: one has no start that is still known.
local function feeds_named(key, h, offset)
	local feeds = {}
	for field, joined in pairs(h) do
		local feed = field:match('^f:(.*)$')
		if feed and not may_follow(feed, h.user) then
			redis.call('HDEL', key, field)
		elseif feed then
			local since = stamp_of(joined)
			if since and offset then since = later(since, offset) end
			if not since or is_logged(feed) and not is_kept(since) then return nil end
			feeds[#feeds + 1] = { feed = feed, since = since }
		end
	end
	return feeds
end

local FOLLOWED = {
	direct = { 'direct' }, channel = { 'group' }, any = { 'group', 'direct' }, [''] = {}
}

-- Calls `each` with every room that is heard by its members alone, and the clock at
-- which this one joined.
local function rooms_followed(user, follow, each)
	for _, kind in ipairs(FOLLOWED[follow]) do
		local list = redis.call('ZRANGE', rooms_of(user, kind), 0, -1, 'WITHSCORES')
		for i = 1, #list, 2 do each(room_key(list[i]), tonumber(list[i + 1])) end
	end
end

-- Adds those rooms: from `since`, or from where the user joined later. A clock does not say
-- in which epoch it was; one before the start of this is taken for the last one's,
-- where `since` may lie.
local function feeds_followed(feeds, h, follow, since)
	local now = redis.call('MGET', 'epoch', 'epoch:start')
	local epoch, start = tonumber(now[1] or 1), tonumber(now[2] or 0)
	rooms_followed(h.user, follow, function(feed, clock)
		if h['f:' .. feed] then return end
		local joined = { epoch = clock > start and epoch or epoch - 1, clock = clock }
		joined.text = text(joined.epoch) .. '-' .. text(clock)
		feeds[#feeds + 1] = { feed = feed, since = later(since, joined) }
	end)
end

-- All feeds of a session from where it stands, or nil: something can't be made good any more.
local function feeds_resumed(key, h, offset, who)
	local feeds, logged, own = feeds_named(key, h, offset), {}, nil
	for _, f in ipairs(feeds or {}) do
		if f.feed == who.feed then own = f end
	end
	if not own then return nil end
	feeds_followed(feeds, h, who.follow, own.since)
	for _, f in ipairs(feeds) do
		if is_logged(f.feed) then logged[#logged + 1] = f end
	end
	return logs_reach_back(logged) and feeds or nil
end

local function hash_of(key)
	local list, h = redis.call('HGETALL', key), {}
	for i = 1, #list, 2 do h[list[i]] = list[i + 1] end
	return h
end

-- Takes up a session for `who`; the worker that had it is told, in case it has not noticed.
-- One that lacks a feed that its API follows by now is not taken up.
local function session_resume(pid, offset, who)
	local key = session_key(pid)
	local h = hash_of(key)
	local from = offset ~= '' and stamp_of(offset) or nil
	if h.user ~= who.user or h.api ~= who.api or offset ~= '' and not from then return nil end
	if who.also ~= '' and not h['f:' .. who.also] then return nil end
	local feeds = feeds_resumed(key, h, from, who)
	if not feeds then return nil end
	local take = redis.call('HINCRBY', key, 'take', 1)
	redis.call('HSET', key, 'worker', who.worker, 'by', who.new_pid)
	redis.call('PERSIST', key)
	redis.call('SREM', sessions_of(h.worker), pid)
	redis.call('SADD', sessions_of(who.worker), pid)
	redis.call('PUBLISH', 'worker:' .. h.worker,
		'{"type":"resumed","feed":' .. json(who.feed) ..
		',"session":' .. json(pid) .. ',"take":' .. text(take) .. '}')
	local reply = { pid, h.sid, text(take), '1' }
	for _, f in ipairs(feeds) do
		reply[#reply + 1] = f.feed
		reply[#reply + 1] = f.since.text
	end
	return reply
end

-- A new session, which begins now. The rooms that members hear are not stored: the user's own list
-- of them stays right.
local function session_begin(pid, sid, window, now, who)
	local key, reply = session_key(pid), { pid, sid, '1', '0' }
	redis.call('HSET', key, 'user', who.user, 'api', who.api, 'sid', sid, 'worker', who.worker,
		'take', '1', 'window', window, 'f:' .. who.feed, now)
	redis.call('SADD', sessions_of(who.worker), pid)
	local function add(feed)
		reply[#reply + 1] = feed
		reply[#reply + 1] = now
	end
	rooms_followed(who.user, who.follow, add)
	if who.also ~= '' then
		redis.call('HSET', key, 'f:' .. who.also, now)
		add(who.also)
	end
	return reply
end

-- Who bears this token comes by a socket: user_enter, and the session it had, or a new one.
-- keys: those of user_enter; session:PID, worker:NAME:sessions, FEED:log and FEED:last of the feeds
--   it followed, user:ID:rooms, user:ID:directs, workers, unleased
-- args: those of user_enter, then pid("" = none) offset("" = none) api worker new_pid new_sid
--   window_ms
--   follow("" | "direct" | "channel" | "any": the rooms that members hear without joining them)
--   also("" or a logged feed to follow besides)
-- reply: user, clock, feed, pid, sid, take, "1" if it was recovered else "0", then pairs
--   feed since: of a new session without the user's own, which is heard from clock on; a feed
--   "presence:…" has no log, and its state as of since is what the client knows
-- publishes: worker:NAME "resumed" to the worker that had it
-- errors: those of user_enter; INVALID follow
writes('user_connect', function(id, name, username, image, email, provision, fallback,
		pid, offset, api, worker, new_pid, new_sid, window, follow, also)
	follow, also = follow or '', also or ''
	if not FOLLOWED[follow] then refuse('INVALID', 'follow: is not direct, channel or any') end
	local entered = user_enter(id, name, username, image, email, provision, fallback)
	local clock, feed = entered[2], entered[3]
	local who = {
		user = id, feed = feed, api = api, worker = worker, follow = follow, also = also,
		new_pid = new_pid
	}
	worker_expect(worker)
	local session = pid ~= '' and session_resume(pid, offset, who) or
		session_begin(new_pid, new_sid, window, clock, who)
	-- The list can be as long as that of the user's rooms, too long for unpack.
	local reply = { entered[1], clock, feed }
	for _, s in ipairs(session) do reply[#reply + 1] = s end
	return reply
end)

local function is_taken(key, take)
	return redis.call('HGET', key, 'take') == take
end

-- Forgets the rooms that the user has left, when there are more of them than those the user is in:
-- who joins and leaves all the time would else make the session ever larger.
local function session_tidy(key, user)
	local rooms = redis.call('ZCARD', rooms_of(user, 'group')) +
		redis.call('ZCARD', rooms_of(user, 'direct'))
	if redis.call('HLEN', key) <= 2 * rooms + 64 then return end
	for _, field in ipairs(redis.call('HKEYS', key)) do
		local feed = field:match('^f:(.*)$')
		if feed and not may_follow(feed, user) then redis.call('HDEL', key, field) end
	end
end

-- room_enter for a socket: from now on its session follows the room. A room joined again is
-- followed from where it was.
-- keys: those of room_enter; session:PID, user:ID:rooms, user:ID:directs
-- args: user room want pid take
-- reply: that of room_enter
-- publishes: nothing
-- errors: those of room_enter
writes('room_follow', function(user, room, want, pid, take)
	local entered = room_enter(user, room, want)
	local key = session_key(pid)
	if is_taken(key, take) and
			redis.call('HSETNX', key, 'f:' .. room_key(room), entered[1]) == 1 then
		session_tidy(key, user)
	end
	return entered
end)

-- A socket left a room.
-- keys: session:PID
-- args: pid take room
-- reply: "1" if the session followed it, else "0"
-- publishes: nothing
-- errors: none
writes('session_unfollow', function(pid, take, room)
	local key = session_key(pid)
	local left = is_taken(key, take) and redis.call('HDEL', key, 'f:' .. room_key(room)) or 0
	return { text(left) }
end)

-- A socket is over: its session may be taken up again for `window` ms, or goes at once.
-- keys: session:PID, worker:NAME:sessions
-- args: pid take(or new_pid of who took it up, if the answer to that is not known)
--   window_ms("0" = goes)
-- reply: "1", or "0" if another socket has taken it up
-- publishes: nothing
-- errors: none
writes('session_end', function(pid, take, window)
	local key = session_key(pid)
	if not is_taken(key, take) and redis.call('HGET', key, 'by') ~= take then return { '0' } end
	redis.call('SREM', sessions_of(redis.call('HGET', key, 'worker')), pid)
	if window == '0' then
		redis.call('DEL', key)
	else
		redis.call('PEXPIRE', key, window)
	end
	return { '1' }
end)

-- The sockets of these sessions live: where a sweep gave them a time, they have none again. One
-- that has been taken up elsewhere, or is gone, is left alone. Said again, it changes nothing.
-- keys: session:PID, worker:NAME:sessions, workers, unleased
-- args: worker then pairs pid take; 3,000 of them at most, for Lua's stack
-- reply: count of the sessions that stay
-- publishes: nothing
-- errors: none
writes('sessions_stay', function(worker, ...)
	local sockets, n = { ... }, 0
	worker_expect(worker)
	for i = 1, #sockets, 2 do
		local pid, take = sockets[i], sockets[i + 1]
		if is_taken(session_key(pid), take) then
			redis.call('PERSIST', session_key(pid))
			redis.call('SADD', sessions_of(worker), pid)
			n = n + 1
		end
	end
	return { text(n) }
end)

-- The sessions of a worker that is gone, some of them; true when that was all.
local function sessions_sweep(worker)
	local pids = redis.call('SPOP', sessions_of(worker), SESSIONS_CHUNK)
	for _, pid in ipairs(pids) do
		local window = redis.call('HGET', session_key(pid), 'window')
		if window then redis.call('PEXPIRE', session_key(pid), window) end
	end
	return #pids < SESSIONS_CHUNK
end
