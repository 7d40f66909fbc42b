-- What all Redis functions of Confab share: keys, identifiers, JSON, feeds, refusals.
--
-- No keys are declared; arguments are strings, "" meaning none. Replies are flat: strings, some of
-- them JSON. A verb refuses by an error whose first word is one of common/err.def, before it writes
-- anything.
--
-- Identifiers from outside are escaped in keys and feed names (% and : as %25 and %3A, the user id
-- "name" as %6Eame), so that none of them can spell another key. Keys beside those of the verbs'
-- contracts: `clock` numbers all entries of all feeds, joins and identifiers; `counts` is a hash of
-- how many rooms and messages there are.

local VERSION = 1
local SENT_SECONDS = 600     -- how long a clientMessageId is remembered
local WRONG_MS = 60000       -- how long a wrong password counts
local ROOMS_CHUNK = 100      -- rooms left by a deleted account in one call
local MESSAGES_CHUNK = 500   -- messages of a removed room deleted in one call
local WORKERS_CHUNK = 10     -- expired workers swept in one call
local SESSIONS_CHUNK = 500   -- sessions of a dead worker given their TTL in one call
local PRESENCE_CHUNK = 1000  -- users of a dead worker taken from it in one call
local TELL_CHUNK = 500       -- users told to be offline in one call
local FEEDS_CHUNK = 5000     -- feeds whose last entry one command asks for; Lua's stack bears 7,000
local FEEDS_BYTES = 1000000  -- of feeds_since's answer, last entry apart: a quarter of queue-hard
local FEED_PIECE = 64        -- entries of a log read in one command
local TRIM_CHUNK = 100       -- messages beyond history_max deleted by one post
local TRIM_SCAN = 1000       -- keys looked at in one call for rooms that are to be trimmed
local LOG_MAX = { room = '1000', user = '100', pres = '10000' }
local LOG_LINGERS = 600      -- seconds that the log of a removed room can still be read
local LEAVING_MS = 5000      -- how long a user without a socket stays online
local AWAY_MS = 3000         -- without leases for longer, Redis or all masters were away
local UNLEASED_MS = 10000    -- how long the users of a worker count that has no lease yet

-- What nothing else would bound: lists that are told whole, or walked when somebody connects.
local MOST = {
	rooms = 10000,           -- a user is in, conversations apart …
	conversations = 20000,   -- … and has of these
	channels = 10000,        -- a user makes: they stay when all have left
	members = 100000,        -- of a room
	files = 10000,           -- a user has uploaded
	reactions = 200,         -- to a message: a page has those of 100 and of what they answer …
	own_reactions = 20,      -- … by one user
	users = 1000,            -- of a lobby's room
}

local NO_NAME = 'user:%6Eame'

-- A whole number; Lua writes 1e14 and above with an exponent.
local function text(n)
	return string.format('%d', n)
end

local function refuse(word, detail)
	-- Never a word alone: Redis would put ERR before it.
	error(word .. ' ' .. detail, 0)
end

-- Keys

local function escaped(id)
	if not id:find('[%%:]') then return id end
	return (id:gsub('[%%:]', { ['%'] = '%25', [':'] = '%3A' }))
end

local function room_key(id) return 'room:' .. escaped(id) end
local function message_key(id) return 'message:' .. escaped(id) end

local function user_key(id)
	return id == 'name' and NO_NAME or 'user:' .. escaped(id)
end

-- The locale decides how Lua compares strings; a key must not depend on that.
local function bytes_before(a, b)
	for i = 1, math.min(#a, #b) do
		if a:byte(i) ~= b:byte(i) then return a:byte(i) < b:byte(i) end
	end
	return #a < #b
end

local function direct_key(a, b)
	if bytes_before(b, a) then a, b = b, a end
	return 'room:direct:' .. escaped(a) .. ':' .. escaped(b)
end

-- Time, clock, counts, identifiers

local function now_ms()
	local t = redis.call('TIME')
	return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function tick()
	return redis.call('INCR', 'clock')
end

-- Where the clock stands, in the form of a log entry's id.
local function stamp()
	local at = redis.call('MGET', 'epoch', 'clock')
	return (at[1] or '1') .. '-' .. (at[2] or '0')
end

-- A run of Redis may lack what the one before did last. So it has an epoch of its own, which begins
-- before it numbers anything: no id is given out twice.
local function epoch_begin(run_id)
	if redis.call('GET', 'runid') == run_id then return end
	redis.call('INCR', 'epoch')
	redis.call('MSET', 'runid', run_id, 'epoch:start', redis.call('GET', 'clock') or '0')
end

-- For what masters call: they say no worker_hello, and may be the first after a restart.
local function epoch_ensure()
	epoch_begin(redis.call('INFO', 'server'):match('run_id:(%x+)'))
end

local function count(what, by)
	redis.call('HINCRBY', 'counts', what, by)
end

-- A letter, 11 hex digits of time in ms, 12 of the clock: text order is order in time.
local function new_id(letter, ms, clock)
	return string.format('%s%011x%012x', letter, ms, clock)
end

local function id_ms(id) return tonumber(id:sub(2, 12), 16) end

local function id_clock(id)
	return id:match('^%l%x+$') and #id == 24 and tonumber(id:sub(13), 16)
end

-- JSON

local function json(s)
	return cjson.encode(s)
end

-- An identifier of ours, which needs no escapes.
local function literal(id)
	return '"' .. id .. '"'
end

local function quoted(s)
	return s and s ~= '' and json(s) or 'null'
end

-- A member of an object that is left out when there is nothing to say.
local function optional(name, value)
	return value and ',"' .. name .. '":' .. value or ''
end

local function truth(value)
	return value and 'true' or 'false'
end

local function quoted_list(list)
	local out = {}
	for i, s in ipairs(list) do out[i] = json(s) end
	return '[' .. table.concat(out, ',') .. ']'
end

local function event_json(type, room, kind, actor, rest)
	return '{"type":"' .. type .. '","room":' .. literal(room) .. ',"kind":"' .. kind ..
		'","actor":' .. json(actor) .. rest .. '}'
end

-- Feeds

-- Numbers an event, adds it to its feed's log and tells all who listen; max nil: what worker_hello
-- said.
local function publish(feed, event, max, clock)
	local kind = feed:sub(1, 4)
	-- FEED:last, for a log is far slower to ask for its last entry.
	local set = redis.call('MGET', 'epoch', 'log-max:' .. kind, feed .. ':last')
	local id = (set[1] or '1') .. '-' .. text(clock or tick())
	local log = feed .. ':log'
	local prev = set[3] or '0-0'
	max = max or set[2] or LOG_MAX[kind]
	redis.call('XADD', log, 'MAXLEN', '~', max, id, 'p', prev, 'e', event)
	redis.call('SET', feed .. ':last', id)
	redis.call('PUBLISH', feed, prev .. ' ' .. id .. ' ' .. event)
	return id
end

-- Of each of these feeds, in one or a few commands, the id of its last entry or false.
local function feeds_last(feeds)
	local last = {}
	for from = 1, #feeds, FEEDS_CHUNK do
		local keys = {}
		for i = from, math.min(from + FEEDS_CHUNK - 1, #feeds) do
			keys[#keys + 1] = feeds[i] .. ':last'
		end
		for _, id in ipairs(redis.call('MGET', unpack(keys))) do last[#last + 1] = id end
	end
	return last
end

-- Limits

-- Passwords are tried `limit` times a minute: wrong:SUBJECT has the times of the last of these, and
-- the oldest decides. A try counts before it is compared, or many at once would all be let through;
-- a right one is given back.
local passwords = {}

function passwords.check(subject, limit)
	limit = tonumber(limit) or 0
	if limit < 1 then return end
	local oldest = tonumber(redis.call('LINDEX', 'wrong:' .. subject, limit - 1) or 0)
	local now = now_ms()
	local left = oldest + WRONG_MS - now
	-- Those that are still to come were before the clock was put back: nobody waits
	-- until it is there again.
	if left > 0 and oldest <= now then refuse('RATE', text(math.ceil(left / 1000))) end
end

-- What give_back wants of this try; "" without a limit.
function passwords.try(subject, limit)
	passwords.check(subject, limit)
	limit = tonumber(limit) or 0
	if limit < 1 then return '' end
	local key, at = 'wrong:' .. subject, text(now_ms())
	redis.call('LPUSH', key, at)
	redis.call('LTRIM', key, 0, limit - 1)
	redis.call('PEXPIRE', key, WRONG_MS)
	return at
end

-- Tries of the same moment are alike.
function passwords.give_back(subject, tried)
	if tried and tried ~= '' then redis.call('LREM', 'wrong:' .. subject, 1, tried) end
end

local function check_most(what, n, whose)
	if n > MOST[what] then
		refuse('FULL', whose .. ' ' .. text(MOST[what]) .. ' ' .. what:gsub('^.*_', '') ..
			', which is the most')
	end
end

-- Registration

-- Refusals are raised wherever they are found and become the reply here.
local function guarded(verb)
	return function(_, args)
		local ok, reply = pcall(verb, unpack(args))
		if ok then return reply end
		-- Refusals and errors of Redis begin with a word in capitals,
		-- a mistake of ours does not.
		if type(reply) == 'table' then reply = reply.err end
		return redis.error_reply(reply:find('^%u+ ') and reply or 'ERR ' .. reply)
	end
end

-- While a library loads, Redis lends it no global but `redis`.
local function writes(name, verb)
	redis.register_function(name, guarded(verb))
end

local function reads(name, verb)
	redis.register_function{
		function_name = name, callback = guarded(verb), flags = { 'no-writes' }
	}
end

-- The version of this library.
-- keys: none
-- args: none
-- reply: integer
-- publishes: nothing
-- errors: none
reads('confab_version', function()
	return VERSION
end)
