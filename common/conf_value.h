/* The values of directives: each type's way from words to C and back. */
#ifndef CONFAB_CONF_VALUE_H
#define CONFAB_CONF_VALUE_H

#include "common/conf.h"

/* A row of conf.def. */
struct directive {
	const char *name;
	const struct value_type *type;
	size_t offset, size;  /* of the value in struct conf, or of a list's elements */
	size_t count_offset;  /* of a list's count */
	unsigned room;        /* elements that fit; 0: not a list */
	const char *fallback; /* the default's text; NULL: unset */
	uint64_t min, max;    /* numbers: the range; texts: the least length */
	bool reloadable;
	const char *help;
};

struct value_type {
	const char *syntax; /* "DURATION", for --help */
	const char *wanted; /* "must be …", for errors */
	bool words;         /* several words; else the text outside a file is taken verbatim */
	bool secret;        /* never shown in errors */
	/* Reads into a zeroed field; false: the value is not as wanted, or out of range. */
	bool (*parse)(const struct directive *d, struct strs words, void *field);
	/* Writes words in the file's syntax. */
	void (*print)(const void *field, struct buf *out);
};

extern const struct value_type value_NUMBER, value_WORKERS, value_DURATION, value_BYTES, value_RATE,
	value_YES_NO, value_TEXT, value_PATH, value_SECRET, value_LEVEL, value_HMAC, value_REDIS,
	value_LISTEN, value_JWT_KEY, value_ORIGIN;

/* The rows of conf.def, ended by one without a name. */
extern const struct directive conf_directives[];
/* What the directives say by default, before anything is checked. */
void conf_defaults(struct conf *out);
/* What the directive takes, with its range: the end of an error message. */
void value_wanted(const struct directive *d, struct buf *out);
/* The range alone; nothing for a type that has none. */
void value_range(const struct directive *d, struct buf *out);
/* One word as a file says it, in quotes where it needs them. */
void value_word(struct str word, struct buf *out);

#endif
