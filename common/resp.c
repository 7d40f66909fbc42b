/* The bounds of what is taken from Redis. hiredis makes room for as many elements as an array
 * says that it has, and keeps the bytes of a string until it is whole. Its own functions make
 * the objects; they stand behind ours as the reader's privdata. */
#include "common/resp.h"

#include <stdio.h>
#include <string.h>

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;

/* RESP 3, which nobody asked for. */
static void *refuse_double(UNUSED const redisReadTask *task, UNUSED double number,
                           UNUSED char *text, UNUSED size_t len)
{
	return NULL;
}

static void *refuse_bool(UNUSED const redisReadTask *task, UNUSED int value)
{
	return NULL;
}

#define REFUSED_TYPES .createDouble = refuse_double, .createBool = refuse_bool,
#else
typedef int element_count;
#define REFUSED_TYPES
#endif

static const redisReplyObjectFunctions *own(const redisReadTask *task)
{
	return task->privdata;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
	return own(task)->createString(task, text, len);
}

static void *create_array(const redisReadTask *task, element_count n)
{
	if (task->parent != NULL || n > RESP_MAX_ELEMENTS)
		return NULL;
	return own(task)->createArray(task, n);
}

static void *create_integer(const redisReadTask *task, long long number)
{
	return own(task)->createInteger(task, number);
}

static void *create_nil(const redisReadTask *task)
{
	return own(task)->createNil(task);
}

void resp_bound(redisReader *reader)
{
	/* Not const, for hiredis declares it so. */
	static redisReplyObjectFunctions bounded = {
		.createString = create_string, .createArray = create_array,
		.createInteger = create_integer, .createNil = create_nil,
		.freeObject = freeReplyObject, REFUSED_TYPES
	};

	reader->privdata = reader->fn;
	reader->fn = &bounded;
}

/* What create_array refuses, hiredis takes for a lack of memory. */
static void explain(redisReader *reader)
{
	if (reader->err == REDIS_ERR_OOM)
		snprintf(reader->errstr, sizeof(reader->errstr),
		         "an array that is too large or too deep");
}

/* hiredis looks for a line's end from its beginning each time: a line without end would
 * cost the square of its length. A string's head is such a line, too; what follows it is
 * not looked through. */
static bool is_endless(const redisReader *reader)
{
	const size_t n = reader->len - reader->pos;

	return n > RESP_MAX_LINE &&
	       memmem(reader->buf + reader->pos, RESP_MAX_LINE, "\r\n", 2) == NULL;
}

bool resp_next(redisReader *reader, size_t *taken, redisReply **out)
{
	void *reply = NULL;

	*out = NULL;
	if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
		explain(reader);
		return false;
	}
	*out = reply;
	if (reply != NULL) {
		*taken = reader->len - reader->pos;
		return true;
	}
	const bool large = *taken > RESP_MAX_BYTES || is_endless(reader);
	if (large)
		snprintf(reader->errstr, sizeof(reader->errstr), "an answer that is too large");
	return !large;
}
