/* What every file may assume: fixed-width types and a handful of attributes. */
#ifndef CONFAB_BASE_H
#define CONFAB_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, args) __attribute__((format(printf, text, args)))
#define UNUSED __attribute__((unused))
#define NORETURN __attribute__((noreturn))
#define NOINLINE __attribute__((noinline))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define CONTAINER_OF_CONST(pointer, type, member) \
	((const type *)(const void *)((const char *)(pointer) - offsetof(type, member)))

#endif
