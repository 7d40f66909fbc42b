/* What a process uses, as /proc tells it. */
#include "master/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"

static uint64_t count_entries(const char *path)
{
	uint64_t n = 0;
	DIR *dir = opendir(path);
	if (dir == NULL)
		return 0;
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* Since Linux 6.2 the directory's size is their number. */
static uint64_t count_files(pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (stat(path, &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	return count_entries(path);
}

bool usage_read(pid_t pid, struct usage *out)
{
	char path[64], text[128] = "";
	uint64_t pages;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	const bool ok = fgets(text, sizeof(text), f) != NULL;
	fclose(f);
	/* All that is mapped, then what of it is in memory. */
	struct str rest = str_z(text);
	str_cut(&rest, ' ');
	if (!ok || !str_u64(str_cut(&rest, ' '), &pages))
		return false;
	out->memory = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	out->files = count_files(pid);
	return true;
}
