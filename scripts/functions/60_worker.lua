-- Workers: their leases, the epoch, and the work that goes on in the background.
--
-- `workers` is a zset of names by the ms at which their leases end, 0 for those that are swept in
-- part; `leased` the ms of the last worker_lease; `unleased` a set of those that were given theirs
-- by what they said (worker_expect).

-- A worker (re)connected to Redis. On a run id that is not the stored one a new epoch begins.
-- keys: runid, epoch, epoch:start, clock, log-max:room, log-max:user, history-max, trimming
-- args: run_id [room_log_max user_log_max [history_max]] (stored for all who publish; "" or not
--   given, and of the logs "0": as they are; history_max 0 = all messages are kept)
-- reply: epoch, clock now, clock at which this epoch began (decimal texts)
-- publishes: nothing
-- errors: none
writes('worker_hello', function(run_id, room_log_max, user_log_max, history_max)
	epoch_begin(run_id)
	for kind, max in pairs{ room = room_log_max, user = user_log_max } do
		if (tonumber(max) or 0) > 0 then redis.call('SET', 'log-max:' .. kind, max) end
	end
	local keep = tonumber(history_max)
	if keep then history_keep(keep) end
	local now = redis.call('MGET', 'epoch', 'clock', 'epoch:start')
	return { now[1], now[2] or '0', now[3] }
end)

-- What a worker leaves behind, a chunk of each; true when that was all. Until then the worker keeps
-- a place among the leases, one that is long over, so that whoever comes next goes on.
local function sweep(name)
	local sessions, users, lobby = sessions_sweep(name), presence_sweep(name), lobby_sweep(name)
	if sessions and users and lobby then
		redis.call('ZREM', 'workers', name)
		redis.call('SREM', 'unleased', name)
		return true
	end
	redis.call('ZADD', 'workers', 0, name)
	return false
end

-- True if it had none, or was being swept: some of what it said is forgotten.
local function lease(name, ends)
	local before = redis.call('ZSCORE', 'workers', name)
	redis.call('ZADD', 'workers', ends, name)
	return redis.call('SREM', 'unleased', name) == 1 or not before or before == '0'
end

-- If nobody has renewed any lease for a while, then nobody could: all get the time again that
-- they lost; or the clock was put forward, which looks the same. If it was put back, none lasts
-- until it is there again.
local function leases_excuse(now, ends)
	local last = redis.call('GET', 'leased')
	redis.call('SET', 'leased', text(now))
	local passed = now - (last or now)
	if passed >= 0 and passed <= AWAY_MS then return end
	for _, name in ipairs(redis.call('ZRANGE', 'workers', '(0', '+inf', 'BYSCORE')) do
		redis.call('ZADD', 'workers', 'XX', passed < 0 and 'LT' or 'GT', ends, name)
	end
end

-- Sweeps those whose lease is over; the count of those that are done with, and whether
-- there is more to do.
local function sweep_expired(now)
	local expired = redis.call('ZRANGE', 'workers', '-inf', text(now), 'BYSCORE',
		'LIMIT', 0, WORKERS_CHUNK + 1)
	for i, name in ipairs(expired) do
		if i > WORKERS_CHUNK or not sweep(name) then return i - 1, true end
	end
	return #expired, false
end

-- Renews leases, sweeps what has expired, and does one chunk of the deletions that are pending
-- (of accounts, rooms, and messages beyond history_max). Nobody is declared dead for the time in
-- which there was no call of this at all (AWAY_MS).
-- keys: workers, unleased, leased, those of worker_sweep, deleting, purging, trimming, and those
--   of the accounts, rooms and messages that go; runid, epoch, epoch:start
-- args: lease_ms name…
-- reply: count of workers swept wholly, "1" if there is more to sweep or delete at once else "0",
--   then each of the names that had no lease until now (of a worker swept in part, too)
-- publishes: room:ID "left" for each room left by a deleted account; that of worker_sweep
-- errors: none
writes('worker_lease', function(lease_ms, ...)
	epoch_ensure()
	local now, reply = now_ms(), { '0', '0' }
	local ends = text(now + lease_ms)
	for _, name in ipairs{ ... } do
		if lease(name, ends) then reply[#reply + 1] = name end
	end
	leases_excuse(now, ends)
	local swept, more = sweep_expired(now)
	more = deletion_step() or more
	reply[1], reply[2] = text(swept), more and '1' or '0'
	return reply
end)

-- Sweeps one worker, dead or gone for good, a chunk of it.
-- keys: workers, unleased, worker:NAME:sessions, session:PID, worker:NAME:users, user:ID:workers,
--   online, leaving, worker:NAME:lobby, lobby:NAME, clock, runid, epoch, epoch:start
-- args: name
-- reply: "0" if it had no lease, "1" if it is swept wholly, "2" if some is left: call again
-- publishes: lobby:NAME "lobby-users"
-- errors: none
writes('worker_sweep', function(name)
	epoch_ensure()
	if not redis.call('ZSCORE', 'workers', name) then return { '0' } end
	return { sweep(name) and '1' or '2' }
end)
