/* Allocation that ends the process where malloc would return NULL. */
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says so without allocating, then dies by a signal that the parent sees and reports. */
static NORETURN void out_of_memory(void)
{
	static const char text[] = "out of memory\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = count && size ? calloc(count, size) : calloc(1, 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *text)
{
	const size_t size = strlen(text) + 1;

	return memcpy(xmalloc(size), text, size);
}
