-- Uploads: files that users put on the server, and what refers to them.
--
-- upload:ID is a hash: user, size (bytes), created (ms), json (the Attachment as clients see it),
-- refs (how many messages refer to it; forwards count). `uploads:idle` is a zset of those without
-- any, by the ms since when; `uploads:going` one of those that Redis has forgotten and whose files
-- are still to be removed, by the ms at which that is tried again. `uploads` is the sum of all
-- sizes, the field `uploaded` of user:ID that of a user's, `files` their number.

local UPLOAD_IDLE_MS = 86400000      -- how long a file is kept without a message
local UPLOAD_AGAIN_MS = 60000        -- after that, somebody else may try to remove it

local function upload_key(id) return 'upload:' .. id end

local function is_upload(id)
	return type(id) == 'string' and #id == 32 and id:find('^%x+$') ~= nil
end

local function upload_check(user, user_quota, quota, bytes, n)
	user_quota, quota = tonumber(user_quota) or 0, tonumber(quota) or 0
	local mine = redis.call('HMGET', user_key(user), 'uploaded', 'files')
	-- However small: each takes its place in a directory, and in Redis.
	if (mine[2] or 0) + n > MOST.files then
		refuse('NOSPACE', 'You have ' .. text(MOST.files) ..
			' files, which is the most; ' .. 'old ones go when no message has them')
	end
	if user_quota > 0 and (mine[1] or 0) + bytes > user_quota then
		refuse('NOSPACE',
			'Your files have no more space; old ones go when no message has them')
	end
	if quota > 0 and (redis.call('GET', 'uploads') or 0) + bytes > quota then
		refuse('NOSPACE', 'There is no space left for uploads')
	end
end

-- What a message is to have attached, one a line: an upload of its author's by id, or an object
-- that is stored as it is. A JSON array, or nil for none.
local function attachments_json(user, lines)
	if lines == '' then return nil end
	local out = {}
	for one in lines:gmatch('[^\n]+') do
		if one:sub(1, 1) ~= '{' then
			local f = is_upload(one) and
				redis.call('HMGET', upload_key(one), 'user', 'json') or {}
			if f[1] ~= user then
				refuse('INVALID', 'attachments: name an unknown upload')
			end
			one = f[2]
		end
		out[#out + 1] = one
	end
	return '[' .. table.concat(out, ',') .. ']'
end

-- One message more (by = 1), or one less, refers to the uploads among these attachments.
local function uploads_refer(attachments, by)
	for _, one in ipairs(cjson.decode(attachments)) do
		local id = type(one) == 'table' and one.id
		if is_upload(id) and redis.call('EXISTS', upload_key(id)) == 1 then
			local refs = redis.call('HINCRBY', upload_key(id), 'refs', by)
			if refs > 0 then
				redis.call('ZREM', 'uploads:idle', id)
			else
				redis.call('ZADD', 'uploads:idle', text(now_ms()), id)
			end
		end
	end
end

-- May this user upload so many bytes?
-- keys: user:ID, uploads
-- args: user user_quota quota bytes   (quotas in bytes; 0 = none)
-- reply: "1"
-- publishes: nothing
-- errors: NOUSER user; USERDELETED user; NOSPACE
reads('upload_allow', function(user, user_quota, quota, bytes)
	user_acting(user)
	upload_check(user, user_quota, quota, tonumber(bytes), 1)
	return { '1' }
end)

-- Takes the files of one upload, all or none.
-- keys: user:ID, uploads, upload:ID, uploads:idle
-- args: user user_quota quota, then triples id size json
-- reply: "1"
-- publishes: nothing
-- errors: NOUSER user; USERDELETED user; NOSPACE
writes('upload_store', function(user, user_quota, quota, ...)
	local files, bytes, now = { ... }, 0, text(now_ms())
	user_acting(user)
	for i = 2, #files, 3 do bytes = bytes + files[i] end
	upload_check(user, user_quota, quota, bytes, #files / 3)
	for i = 1, #files, 3 do
		redis.call('HSET', upload_key(files[i]), 'user', user, 'size', files[i + 1],
			'created', now, 'json', files[i + 2], 'refs', '0')
		redis.call('ZADD', 'uploads:idle', now, files[i])
	end
	redis.call('HINCRBY', user_key(user), 'uploaded', text(bytes))
	redis.call('HINCRBY', user_key(user), 'files', text(#files / 3))
	redis.call('INCRBY', 'uploads', text(bytes))
	return { '1' }
end)

-- A file, for whoever knows its id.
-- keys: upload:ID
-- args: id
-- reply: Attachment
-- publishes: nothing
-- errors: NOTFOUND upload
reads('upload_show', function(id)
	local f = redis.call('HGET', upload_key(id), 'json')
	if not f then refuse('NOTFOUND', 'upload') end
	return { f }
end)

local function upload_forget(id, now)
	local f = redis.call('HMGET', upload_key(id), 'user', 'size')
	redis.call('ZREM', 'uploads:idle', id)
	if not f[1] then return end
	redis.call('DEL', upload_key(id))
	redis.call('ZADD', 'uploads:going', text(now + UPLOAD_AGAIN_MS), id)
	redis.call('HINCRBY', user_key(f[1]), 'uploaded', '-' .. f[2])
	redis.call('HINCRBY', user_key(f[1]), 'files', -1)
	redis.call('DECRBY', 'uploads', f[2])
end

-- Which files are to be removed: those that no message has referred to for a day, which are unknown
-- from now on, and those of which nobody has said since that they are gone.
-- keys: uploads:idle, uploads:going, upload:ID, user:ID, uploads
-- args: limit
-- reply: id…
-- publishes: nothing
-- errors: none
writes('uploads_due', function(limit)
	local now = now_ms()
	local due = redis.call('ZRANGE', 'uploads:going', '-inf', text(now),
		'BYSCORE', 'LIMIT', 0, limit)
	for _, id in ipairs(due) do
		redis.call('ZADD', 'uploads:going', text(now + UPLOAD_AGAIN_MS), id)
	end
	local idle = redis.call('ZRANGE', 'uploads:idle', '-inf', text(now - UPLOAD_IDLE_MS),
		'BYSCORE', 'LIMIT', 0, limit - #due)
	for _, id in ipairs(idle) do
		upload_forget(id, now)
		due[#due + 1] = id
	end
	return due
end)

-- These files have been removed.
-- keys: uploads:going
-- args: id…
-- reply: how many of them were to be
-- publishes: nothing
-- errors: none
writes('uploads_gone', function(...)
	return { text(redis.call('ZREM', 'uploads:going', ...)) }
end)
