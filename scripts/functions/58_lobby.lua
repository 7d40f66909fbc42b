-- The lobby: rooms of people without accounts, who are there while they are logged in.
--
-- lobby:NAME is a hash: per user's name "CLOCK SID WORKER", when they came, by which socket
-- of which worker; it goes with its last. worker:NAME:lobby, a set of "ROOM NAME SID", says who is
-- to be logged out when that worker is swept. Names of rooms and users are letters and digits:
-- there is nothing to escape in them. lobby:NAME is a state channel, too: what is told there says
-- as of when, and is kept nowhere.

local LOBBY_CHUNK = 500      -- users of a dead worker logged out in one call

local function lobby_key(room) return 'lobby:' .. room end
local function lobby_of(worker) return 'worker:' .. worker .. ':lobby' end

local function lobby_check(s, as)
	if #s > 32 or not s:find('^[A-Za-z0-9]+$') then
		refuse('INVALID', as .. ': must have 1 to 32 letters or digits')
	end
end

-- What the hash says of a user; nil if they are not there.
local function lobby_user(name, value)
	if not value then return nil end
	local clock, sid = value:match('^(%d+) ([^ ]+) ')
	return { name = name, clock = tonumber(clock), sid = sid }
end

local function lobby_holder(room, name)
	return lobby_user(name, redis.call('HGET', lobby_key(room), name))
end

local function came_before(x, y) return x.clock < y.clock end

-- All who are there as a JSON array, in the order in which they came.
local function lobby_users(room)
	local list, users, out = redis.call('HGETALL', lobby_key(room)), {}, {}
	for i = 1, #list, 2 do users[#users + 1] = lobby_user(list[i], list[i + 1]) end
	table.sort(users, came_before)
	for i, u in ipairs(users) do
		out[i] = '{"id":' .. literal(u.sid) .. ',"name":' .. literal(u.name) ..
			',"room":' .. literal(room) .. '}'
	end
	return '[' .. table.concat(out, ',') .. ']'
end

local function lobby_event(type, room, rest)
	return '{"type":"' .. type .. '","room":' .. literal(room) .. ',"kind":"lobby","clock":' ..
		literal(stamp()) .. rest .. '}'
end

local function lobby_users_event(room, came, left)
	return lobby_event('lobby-users', room, ',"came":' .. quoted_list(came) .. ',"left":' ..
		quoted_list(left) .. ',"users":' .. lobby_users(room))
end

-- Tells those who are there now; nobody, if all have left.
local function lobby_tell(room, came, left)
	if redis.call('EXISTS', lobby_key(room)) == 0 then return end
	tick()
	redis.call('PUBLISH', lobby_key(room), lobby_users_event(room, came, left))
end

-- The users of a worker that is gone, some of them, each room told once; true when that was all.
local function lobby_sweep(worker)
	local places = redis.call('SPOP', lobby_of(worker), LOBBY_CHUNK)
	local rooms, left = {}, {}
	for _, place in ipairs(places) do
		local room, name, sid = place:match('^([^ ]+) ([^ ]+) ([^ ]+)$')
		local holder = lobby_holder(room, name)
		if holder and holder.sid == sid then
			redis.call('HDEL', lobby_key(room), name)
			if not left[room] then
				left[room] = {}
				rooms[#rooms + 1] = room
			end
			table.insert(left[room], holder)
		end
	end
	for _, room in ipairs(rooms) do
		table.sort(left[room], came_before)
		local names = {}
		for i, u in ipairs(left[room]) do names[i] = u.name end
		lobby_tell(room, {}, names)
	end
	return #places < LOBBY_CHUNK
end

-- A socket logs in. Once more by the same socket is no news: a worker says so again when it can't
-- know whether it is known.
-- keys: lobby:NAME, worker:NAME:lobby, workers, unleased, clock, epoch
-- args: worker sid name room
-- reply: clock ("<epoch>-<clock>") as of which these are the users: JSON array
-- publishes: lobby:NAME "lobby-users"
-- errors: INVALID name; INVALID room; TAKEN name (another socket has it); FULL (too many are there)
writes('lobby_login', function(worker, sid, name, room)
	lobby_check(name, 'name')
	lobby_check(room, 'room')
	local holder = lobby_holder(room, name)
	if holder and holder.sid ~= sid then refuse('TAKEN', 'name: is taken in this room') end
	if not holder then
		check_most('users', redis.call('HLEN', lobby_key(room)) + 1, 'This room has')
		worker_expect(worker)
		redis.call('HSET', lobby_key(room), name,
			text(tick()) .. ' ' .. sid .. ' ' .. worker)
		redis.call('SADD', lobby_of(worker), room .. ' ' .. name .. ' ' .. sid)
		lobby_tell(room, { name }, {})
	end
	return { stamp(), lobby_users(room) }
end)

-- A socket logs out, or is over.
-- keys: lobby:NAME, worker:NAME:lobby, clock, epoch
-- args: worker sid name room
-- reply: "1" if it was there, else "0"
-- publishes: lobby:NAME "lobby-users", if anybody remains
-- errors: none
writes('lobby_logout', function(worker, sid, name, room)
	redis.call('SREM', lobby_of(worker), room .. ' ' .. name .. ' ' .. sid)
	local holder = lobby_holder(room, name)
	if not holder or holder.sid ~= sid then return { '0' } end
	redis.call('HDEL', lobby_key(room), name)
	lobby_tell(room, {}, { name })
	return { '1' }
end)

-- Tells all in the room a text, which is kept nowhere.
-- keys: lobby:NAME, clock, epoch
-- args: sid name room text
-- reply: "1"
-- publishes: lobby:NAME "lobby-message"
-- errors: NOTFOUND room (not logged in there by that name and socket)
writes('lobby_say', function(sid, name, room, content)
	local holder = lobby_holder(room, name)
	if not holder or holder.sid ~= sid then refuse('NOTFOUND', 'room') end
	tick()
	redis.call('PUBLISH', lobby_key(room), lobby_event('lobby-message', room,
		',"name":' .. literal(name) .. ',"content":' .. json(content)))
	return { '1' }
end)

-- Who is in a room, for those who may have missed what was told.
-- keys: lobby:NAME, clock, epoch
-- args: feed ("lobby:NAME")
-- reply: the event "lobby-users" in which nobody came or left, or "": the room is empty
-- publishes: nothing
-- errors: none
reads('lobby_read', function(feed)
	local room = feed:match('^lobby:(.*)$')
	if not room or redis.call('EXISTS', feed) == 0 then return { '' } end
	return { lobby_users_event(room, {}, {}) }
end)
