/* Finds the files that belong to the program: beside it where it was built, under /usr/share where
 * it was installed. */
#include "master/install.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes the executable's directory, without a slash at its end; "." if nobody can say. */
static void program_dir(char out[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);
	out[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(out, '/');
	if (slash != NULL)
		*slash = '\0';
	else
		memcpy(out, ".", sizeof("."));
}

bool install_find(const char *const *places, char *out, size_t size)
{
	char dir[PATH_MAX];
	program_dir(dir);
	for (const char *const *place = places; *place != NULL; place++) {
		bool beside = **place == '@';
		int len = snprintf(out, size, "%s%s", beside ? dir : "", *place + beside);
		if (len > 0 && (size_t)len < size && access(out, R_OK) == 0)
			return true;
	}
	return false;
}
