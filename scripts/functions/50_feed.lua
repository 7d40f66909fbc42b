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

local function feed_read(feed, since, upto, most)
	local entries = redis.call('XRANGE', feed .. ':log', '(' .. since, upto, 'COUNT', most)
	for i, e in ipairs(entries) do
		local at = parse_stamp(e[1], 'log')
		entries[i] = { feed = feed, id = e[1], prev = e[2][2], event = e[2][4],
			epoch = at.epoch, clock = at.clock }
	end
	return entries
end

-- The entries of several feeds in (since, upto], in clock order overall.
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
	-- A part of each log is read. What follows the earliest end of a part may come after
	-- entries that were not read, so it has to wait for the next call.
	local part = math.max(16, math.ceil(2 * limit / math.max(1, #feeds / 2)))
	local all, horizon, names, since = {}, nil, {}, {}
	for i = 1, #feeds, 2 do
		names[#names + 1] = feeds[i]
		since[#since + 1] = parse_stamp(feeds[i + 1] or '', 'since')
	end
	-- Most are silent most of the time: their logs need not be read.
	for i, id in ipairs(feeds_last(names)) do
		local entries = id and entry_before(since[i], parse_stamp(id, 'last')) and
			feed_read(names[i], since[i].text, upto, part) or {}
		for _, e in ipairs(entries) do all[#all + 1] = e end
		local last = entries[part]
		if last and (not horizon or entry_before(last, horizon)) then horizon = last end
	end
	table.sort(all, entry_before)
	local reply = { upto, '0' }
	for i, e in ipairs(all) do
		if i > limit or horizon and entry_before(horizon, e) then break end
		for _, s in ipairs{ e.feed, e.id, e.prev, e.event } do reply[#reply + 1] = s end
	end
	if horizon or #all > limit then reply[2] = '1' end
	return reply
end)
