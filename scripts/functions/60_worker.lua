-- Workers: their leases, the epoch, and the work that goes on in the background.

-- A worker (re)connected to Redis. On a run id that is not the stored one a new epoch begins.
-- keys: runid, epoch, epoch:start, clock, log-max:room, log-max:user
-- args: run_id [room_log_max user_log_max]   (stored for all who publish; "", "0" or not given: as
--   they are)
-- reply: epoch, clock now, clock at which this epoch began (decimal texts)
-- publishes: nothing
-- errors: none
local function worker_hello(run_id, room_log_max, user_log_max)
	local now = redis.call('GET', 'clock') or '0'
	if redis.call('GET', 'runid') ~= run_id then
		redis.call('INCR', 'epoch')
		redis.call('MSET', 'runid', run_id, 'epoch:start', now)
	end
	for kind, max in pairs{ room = room_log_max, user = user_log_max } do
		if (tonumber(max) or 0) > 0 then redis.call('SET', 'log-max:' .. kind, max) end
	end
	local epoch = redis.call('MGET', 'epoch', 'epoch:start')
	return { epoch[1], now, epoch[2] }
end

-- What a worker leaves behind, a chunk of it; true if it had a lease. What is left is swept with the next
-- leases: its own is then in the past.
local function sweep(name)
	if not redis.call('ZSCORE', 'workers', name) then return false end
	if sessions_sweep(name) then
		redis.call('ZREM', 'workers', name)
	else
		redis.call('ZADD', 'workers', 0, name)
	end
	return true
end

-- Renews leases, sweeps what has expired, and does one chunk of the deletions that are pending.
-- keys: workers, worker:NAME:sessions, session:PID, deleting, purging, and those of the accounts and rooms that go
-- args: lease_ms name…
-- reply: count of workers swept, then each of the names that had no lease until now
-- publishes: room:ID "left" for each room left by a deleted account
-- errors: none
local function worker_lease(lease_ms, ...)
	local now = now_ms()
	local swept, new = 0, {}
	for _, name in ipairs{ ... } do
		local added = redis.call('ZADD', 'workers', text(now + lease_ms), name)
		if added == 1 then new[#new + 1] = name end
	end
	local expired = redis.call('ZRANGE', 'workers', '-inf', text(now), 'BYSCORE',
		'LIMIT', 0, WORKERS_CHUNK)
	for _, name in ipairs(expired) do
		if sweep(name) then swept = swept + 1 end
	end
	deletion_step()
	return { text(swept), unpack(new) }
end

-- Sweeps one worker, dead or gone for good.
-- keys: workers, worker:NAME:sessions, session:PID
-- args: name
-- reply: "1" if it had a lease, else "0"
-- publishes: nothing
-- errors: none
local function worker_sweep(name)
	return { sweep(name) and '1' or '0' }
end

writes('worker_hello', worker_hello)
writes('worker_lease', worker_lease)
writes('worker_sweep', worker_sweep)
