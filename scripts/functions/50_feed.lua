-- Feeds: reading their logs again after a gap.

-- What "<epoch>-<clock>" says.
local function parse_stamp(s, as)
	local epoch, clock = s:match('^(%d+)-(%d+)$')
	if not epoch then refuse('INVALID', as .. ': is not <epoch>-<clock>') end
	return { epoch = tonumber(epoch), clock = tonumber(clock), text = s }
end

local function entry_before(x, y)
	if x.epoch ~= y.epoch then return x.epoch < y.epoch end
	return x.clock < y.clock
end

-- The next entry of a log, nil after its last. Read in pieces that grow: entries may be large, and
-- those of other feeds may come first.
local function feed_next(f, upto)
	if f.at == #f.piece then
		if f.done then return nil end
		f.n = math.min(4 * f.n, FEED_PIECE)
		f.piece = redis.call('XRANGE', f.feed .. ':log', '(' .. f.since, upto, 'COUNT', f.n)
		f.at, f.done = 0, #f.piece < f.n or f.piece[#f.piece][1] == f.last
		if #f.piece == 0 then return nil end
	end
	f.at = f.at + 1
	local e = f.piece[f.at]
	local at = parse_stamp(e[1], 'log')
	f.since = e[1]
	return { feed = f.feed, id = e[1], prev = e[2][2], event = e[2][4],
		epoch = at.epoch, clock = at.clock }
end

-- Puts a feed among the open ones, which are sorted: the one with the earliest head is the last.
local function feeds_put(open, f)
	local low, high = 1, #open + 1
	while low < high do
		local middle = math.floor((low + high) / 2)
		if entry_before(f.head, open[middle].head) then
			low = middle + 1
		else
			high = middle
		end
	end
	table.insert(open, low, f)
end

-- Those of these feeds, a list of { feed, since }, that have something new, each with
-- the first of it, `head`.
local function feeds_open(feeds, upto)
	local names, open = {}, {}
	for i, f in ipairs(feeds) do names[i] = f.feed end
	-- Most are silent most of the time: their logs need not be read.
	for i, last in ipairs(feeds_last(names)) do
		local f = feeds[i]
		if last and entry_before(f.since, parse_stamp(last, 'last')) then
			f = { feed = f.feed, since = f.since.text, last = last,
				piece = {}, at = 0, n = 1 }
			f.head = feed_next(f, upto)
			if f.head then feeds_put(open, f) end
		end
	end
	return open
end

-- Takes the earliest of the heads.
local function feeds_take(open, upto)
	local f = table.remove(open)
	local e = f.head
	f.head = feed_next(f, upto)
	if f.head then feeds_put(open, f) end
	return e
end

-- The entries of several feeds in (since, upto], in clock order overall; fewer than `limit`
-- where they are large.
-- keys: clock, epoch, FEED:log, FEED:last
-- args: upto("0" = now, else "<epoch>-<clock>") limit then pairs feed since("0-0" = all)
-- reply: upto used ("<epoch>-<clock>"), "1" if there is more else "0", then per entry four: feed,
--   id, prev, event. With "1": call again with the same upto, and the last id received as since of
--   each feed that brought any. A log that no longer reaches back shows by the prev of a feed's
--   first entry being greater than its since.
-- publishes: nothing
-- errors: INVALID upto; INVALID since; INVALID limit
reads('feeds_since', function(upto, limit, ...)
	local feeds = { ... }
	limit = tonumber(limit) or 0
	if limit < 1 then refuse('INVALID', 'limit: is not positive') end
	if upto == '0' then upto = stamp() end
	parse_stamp(upto, 'upto')
	local wanted = {}
	for i = 1, #feeds, 2 do
		wanted[#wanted + 1] =
			{ feed = feeds[i], since = parse_stamp(feeds[i + 1] or '', 'since') }
	end
	local open, reply, n, bytes = feeds_open(wanted, upto), { upto, '0' }, 0, 0
	while #open > 0 and n < limit and bytes < FEEDS_BYTES do
		local e = feeds_take(open, upto)
		for _, s in ipairs{ e.feed, e.id, e.prev, e.event } do reply[#reply + 1] = s end
		n, bytes = n + 1, bytes + #e.event
	end
	if #open > 0 then reply[2] = '1' end
	return reply
end)
