-- Presence: who is online, as told to those who wait for a user, and, while few are, to everybody.
--
-- A user is online who has a socket on any worker (user:ID:workers), and for LEAVING_MS after
-- the last one (`leaving`, by the ms at which it is told): who comes back by then has not been
-- away. `online` is the set of all of them; user:ID has the clock of the last change, `presence`.
-- worker:NAME:users says who is to be taken from a worker that is swept.
--
-- presence:ID is a state channel: what is told there says as of when, and is kept nowhere.
-- `presence` has a log.

local function workers_of(id) return user_key(id) .. ':workers' end
local function users_of(worker) return 'worker:' .. worker .. ':users' end

-- As in user:ID, ID is escaped.
local function presence_feed(id)
	return 'presence:' .. user_key(id):sub(6)
end

local function presence_event(type, id, username, rest)
	return '{"type":"' .. type .. '","user":' .. json(id) .. ',"username":' .. json(username) ..
		(rest or '') .. '}'
end

local function presence_state(online, id, username, at)
	return presence_event(online and 'online' or 'offline', id, username,
		',"clock":"' .. at .. '"')
end

-- Tells that a user came or goes, who is in `online` either way.
local function presence_tell_of(id, online, limit)
	local key = user_key(id)
	local username = redis.call('HGET', key, 'username')
	if not username then return end
	tick()
	local at = stamp()
	redis.call('HSET', key, 'presence', at)
	redis.call('PUBLISH', presence_feed(id), presence_state(online, id, username, at))
	if redis.call('SCARD', 'online') > limit then return end
	publish('presence', presence_event(online and 'came' or 'went', id, username))
end

local function presence_come(id, worker, limit)
	redis.call('SADD', workers_of(id), worker)
	redis.call('SADD', users_of(worker), id)
	if redis.call('ZREM', 'leaving', id) == 1 then return end
	if redis.call('SADD', 'online', id) == 1 then presence_tell_of(id, true, limit) end
end

-- Who is leaving already is not given more time.
local function presence_go(id, worker, now)
	redis.call('SREM', workers_of(id), worker)
	if redis.call('EXISTS', workers_of(id)) == 1 then return end
	if redis.call('SISMEMBER', 'online', id) == 0 then return end
	redis.call('ZADD', 'leaving', 'NX', text(now + LEAVING_MS), id)
end

-- First sockets of users on a worker opened, and last ones closed. Said again, it changes nothing.
-- keys: user:ID, user:ID:workers, worker:NAME:users, online, leaving, workers,
--   unleased, clock, epoch
-- args: worker limit(announced to all while no more than that are online) n, then n ids of those
--   who come, then those of those who go; 7,000 in all at most, for Lua's stack
-- reply: count of ids
-- publishes: presence:ID "online", presence "came", for each who was offline;
--   nothing of unknown users
-- errors: INVALID n
writes('presence_update', function(worker, limit, n, ...)
	local ids = { ... }
	limit, n = tonumber(limit) or 0, tonumber(n)
	if not n or n < 0 or n > #ids then refuse('INVALID', 'n: is not a number of ids') end
	worker_expect(worker)
	for i = 1, n do presence_come(ids[i], worker, limit) end
	local now = now_ms()
	for i = n + 1, #ids do
		redis.call('SREM', users_of(worker), ids[i])
		presence_go(ids[i], worker, now)
	end
	return { text(#ids) }
end)

-- Who is to leave later than LEAVING_MS from now has been away since before the clock was put back:
-- that time begins again.
local function leaving_hasten(now, most)
	local ends = text(now + LEAVING_MS)
	for _, id in ipairs(redis.call('ZRANGE', 'leaving', '(' .. ends, '+inf',
			'BYSCORE', 'LIMIT', 0, most)) do
		redis.call('ZADD', 'leaving', ends, id)
	end
end

-- Those who have been away for LEAVING_MS are offline.
-- keys: leaving, online, user:ID, clock, runid, epoch, epoch:start
-- args: limit(announced to all while no more than that were online) most("" or
--   not given: TELL_CHUNK)
-- reply: count of those now offline, "1" if there are more of them else "0"
-- publishes: presence:ID "offline", presence "went", for each; nothing of unknown users
-- errors: none
writes('presence_tell', function(limit, most)
	limit, most = tonumber(limit) or 0, tonumber(most) or TELL_CHUNK
	epoch_ensure()
	local now = now_ms()
	leaving_hasten(now, most)
	local due = redis.call('ZRANGE', 'leaving', '-inf', text(now), 'BYSCORE',
		'LIMIT', 0, most + 1)
	local told = math.min(most, #due)
	for i = 1, told do
		redis.call('ZREM', 'leaving', due[i])
		presence_tell_of(due[i], false, limit)
		redis.call('SREM', 'online', due[i])
	end
	return { text(told), #due > most and '1' or '0' }
end)

-- The state of a user, for those who may have missed what was told.
-- keys: online, user:ID
-- args: feed ("presence:ID", ID escaped)
-- reply: the event "online" or "offline", its clock that of the last change; "" if there was none
-- publishes: nothing
-- errors: none
reads('presence_read', function(feed)
	local id = feed:sub(10):gsub('%%(%x%x)', function(hex)
		return string.char(tonumber(hex, 16))
	end)
	local u = redis.call('HMGET', user_key(id), 'username', 'presence')
	if not u[1] or not u[2] then return { '' } end
	return { presence_state(redis.call('SISMEMBER', 'online', id) == 1, id, u[1], u[2]) }
end)

-- A socket waits for a user: from now on its session knows of it.
-- keys: user:name:NAME, user:ID, online, session:PID, clock, epoch
-- args: username (any case) pid("" = none) take
-- reply: id, feed ("presence:ID", ID escaped), "1" if online else "0", clock ("<epoch>-<clock>",
--   now), username as its bearer spells it
-- publishes: nothing
-- errors: NOUSER user (deleted ones too)
writes('user_wait', function(username, pid, take)
	local id = username_holder(username)
	local u = id and user_load(id)
	if not u or u.deleted then refuse('NOUSER', 'user') end
	local key, feed, now = session_key(pid), presence_feed(id), stamp()
	if pid ~= '' and is_taken(key, take) then redis.call('HSET', key, 'f:' .. feed, now) end
	return { id, feed, text(redis.call('SISMEMBER', 'online', id)), now, u.username }
end)

-- A socket waits no more.
-- keys: user:name:NAME, session:PID
-- args: username (any case) pid("" = none) take
-- reply: feed ("presence:ID", ID escaped)
-- publishes: nothing
-- errors: NOUSER user (never deleted ones)
writes('user_unwait', function(username, pid, take)
	local id = username_holder(username)
	if not id then refuse('NOUSER', 'user') end
	local key, feed = session_key(pid), presence_feed(id)
	if pid ~= '' and is_taken(key, take) then redis.call('HDEL', key, 'f:' .. feed) end
	return { feed }
end)

-- The users of a worker that is gone, some of them; true when that was all.
local function presence_sweep(worker)
	local ids, now = redis.call('SPOP', users_of(worker), PRESENCE_CHUNK), now_ms()
	for _, id in ipairs(ids) do presence_go(id, worker, now) end
	return #ids < PRESENCE_CHUNK
end
