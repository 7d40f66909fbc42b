/* How the messenger API says things. People are called by their usernames;
 * only direct rooms are told of. */
#include "worker/api/messenger_shape.h"

#include "common/clock.h"
#include "worker/api/api.h"
#include "worker/domain/upload.h"

enum { MEDIA_MAX = 10, URL_MAX = 2048, FILE_NAME_MAX = 255 };

/* --- Media --- */

static bool is_link(struct str url)
{
	static const struct str scheme = { "https://", 8 };

	if (!str_starts(url, scheme) || url.len == scheme.len || url.len > URL_MAX)
		return false;
	for (size_t i = 0; i < url.len; i++)
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == '"' || url.p[i] == '\\' ||
		    url.p[i] == 0x7f)
			return false;
	return true;
}

/* What a link ends in, without its query; the whole of it if that is nothing. Of a long one
 * the beginning: it is stored twice, beside the link. */
static struct str file_name(struct str url)
{
	struct str rest = url, path = str_cut(&rest, '?');
	size_t at = path.len;

	while (at > 0 && path.p[at - 1] != '/')
		at--;
	struct str name = at < path.len ? str_from(path, at) : url;
	if (name.len <= FILE_NAME_MAX)
		return name;
	name.len = FILE_NAME_MAX;
	while (((unsigned char)name.p[name.len] & 0xc0) == 0x80)
		name.len--;
	return name;
}

/* The attachment that a link is stored as. Nobody has looked at what is behind it:
 * its size is not known. */
static struct str link_json(struct arena *a, struct str url)
{
	struct buf json = { 0 };
	struct json_out j = json_out(&json);

	json_open(&j, '{');
	json_put_str(&j, "id", url);
	json_put_str(&j, "filename", file_name(url));
	json_put_str(&j, "originalName", file_name(url));
	json_put_str(&j, "mimeType", STR("application/octet-stream"));
	json_put_int(&j, "size", 0);
	json_put_str(&j, "url", url);
	json_put_time(&j, "createdAt", clock_wall_ms());
	json_close(&j, '}');
	const struct str text = arena_str(a, buf_view(&json));
	buf_fini(&json);
	return text;
}

/* /uploads/ID/NAME: the id; STR_NONE if it is no such URL. */
static struct str upload_of(struct str url)
{
	static const struct str prefix = { "/uploads/", 9 };

	if (!str_starts(url, prefix))
		return STR_NONE;
	struct str rest = str_from(url, prefix.len);
	const struct str id = str_cut(&rest, '/');
	return upload_id_valid(id) ? id : STR_NONE;
}

bool messenger_media(struct str media, struct arena *a, struct strs *attachments,
                     const char **wrong)
{
	struct str *list = arena_alloc(a, MEDIA_MAX * sizeof(*list));
	struct json_iter it = json_iter(media);
	struct str value;
	size_t n = 0;

	*wrong = NULL;
	while (*wrong == NULL && json_next(&it, NULL, &value)) {
		const bool text = json_type(value) == JSON_STRING;
		const struct str url = text ? json_text(a, value) : STR_NONE;
		const struct str upload = upload_of(url);
		if (n == MEDIA_MAX)
			*wrong = "must have at most 10 elements";
		else if (upload.p == NULL && !is_link(url))
			*wrong = "must be an array of URLs of uploads, or https URLs";
		else
			list[n++] = upload.p != NULL ? upload : link_json(a, url);
	}
	*attachments = (struct strs){ list, n };
	return *wrong == NULL;
}

struct attachment {
	struct str url;
};

static const struct field attachment_fields[] = {
	FIELD(attachment, url, F_RAW, .required = true),
	{ 0 }
};

static void put_media(struct json_out *j, struct str attachments)
{
	struct json_iter it = json_iter(attachments);
	struct arena arena = { 0 };
	struct str value;
	struct fault why;

	json_key(j, "media");
	json_open(j, '[');
	while (json_next(&it, NULL, &value)) {
		struct attachment file = { 0 };
		if (json_type(value) == JSON_OBJECT &&
		    schema_decode(attachment_fields, value, &arena, &file, &why) == ERR_OK)
			json_raw(j, file.url);
	}
	json_close(j, ']');
	arena_fini(&arena);
}

/* --- Chats --- */

void messenger_put_chat(struct json_out *j, const struct message *m)
{
	json_open(j, '{');
	json_put_str(j, "id", m->id);
	json_put_str(j, "sender", m->author.username);
	json_put_str(j, "recipient", m->recipient);
	json_put_raw(j, "message", m->content);
	json_put_bool(j, "has_read", m->read);
	if (!str_eqz(m->attachments, "[]"))
		put_media(j, m->attachments);
	json_close(j, '}');
}

/* --- Live events --- */

static void say_user(struct json_out *j, const char *event, struct str username)
{
	json_str(j, str_z(event));
	json_open(j, '{');
	json_put_str(j, "user", username);
	json_close(j, '}');
}

static void say_unread(struct json_out *j, int64_t unread, struct str sender)
{
	json_str(j, STR("unread-chats-count"));
	json_open(j, '{');
	json_put_int(j, "unreadChatsCount", unread);
	json_put_str(j, "user", sender);
	json_close(j, '}');
}

/* The count first: should the connection break between the two, it is said again,
 * the chat is not. */
static unsigned say_chat(struct json_out *j, const struct feed_event *e, unsigned nth)
{
	if (e->kind != ROOM_DIRECT || nth > 1)
		return HEAR_NONE;
	if (nth == 0) {
		say_unread(j, e->unread, e->message.author.username);
		return HEAR_OTHERS | HEAR_MORE;
	}
	json_str(j, STR("chat"));
	json_open(j, '{');
	json_key(j, "chat");
	messenger_put_chat(j, &e->message);
	json_close(j, '}');
	return HEAR_OTHERS;
}

/* To the author that it was read; to the reader's other devices what is left to be read. */
static unsigned say_read(struct json_out *j, const struct feed_event *e, unsigned nth)
{
	if (nth == 1)
		say_unread(j, e->unread, e->peer);
	if (nth > 0)
		return nth == 1 ? HEAR_OWN : HEAR_NONE;
	json_str(j, STR("read-chat"));
	json_open(j, '{');
	json_put_str(j, "id", e->message_id);
	json_put_str(j, "user", e->username);
	json_close(j, '}');
	return HEAR_OTHERS;
}

static const char *const presence_words[EVENT_COUNT] = {
	[EVENT_CAME] = "user-join",
	[EVENT_WENT] = "user-leave",
	[EVENT_ONLINE] = "user-online",
	[EVENT_OFFLINE] = "user-offline",
};

enum audience messenger_encode(const struct feed_event *e, unsigned nth, struct json_out *out)
{
	if (e->type == EVENT_MESSAGE || e->type == EVENT_FORWARDED)
		return say_chat(out, e, nth);
	if (e->type == EVENT_READ)
		return say_read(out, e, nth);
	if (nth > 0 || presence_words[e->type] == NULL)
		return HEAR_NONE;
	say_user(out, presence_words[e->type], e->username);
	return HEAR_ALL;
}
