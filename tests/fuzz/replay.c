/* Runs a fuzz target over files, or the files of directories, without a fuzzer: what was found once
 * is an ordinary test from then on. Says "replayed N inputs" at the end. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "tests/fuzz/fuzz.h"

static const char *current = "the empty input";

/* Says which input it was, whoever ends the process. */
static void on_abort(int number)
{
	static const char text[] = "while replaying ";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)!write(STDERR_FILENO, current, strlen(current));
	(void)!write(STDERR_FILENO, "\n", 1);
}

/* In memory of just its size, so that a sanitizer sees the first byte past it. */
static void run(struct str input)
{
	uint8_t *bytes = malloc(input.len);

	if (input.len > 0)
		memcpy(bytes, input.p, input.len);
	CHECK(LLVMFuzzerTestOneInput(bytes, input.len) == 0);
	free(bytes);
}

static size_t replay_file(const char *path)
{
	struct buf text = { 0 };
	FILE *file = fopen(path, "re");
	size_t n = 1;

	CHECK(file != NULL);
	while (n > 0) {
		n = fread(buf_reserve(&text, 4096), 1, 4096, file);
		text.len += n;
	}
	fclose(file);
	current = path;
	run(buf_view(&text));
	buf_fini(&text);
	return 1;
}

static size_t replay(const char *path);

static size_t replay_directory(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	CHECK(dir != NULL);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct buf inside = { 0 };
		if (e->d_name[0] == '.')
			continue;
		buf_printf(&inside, "%s/%s", path, e->d_name);
		buf_char(&inside, '\0');
		n += replay(inside.p);
		buf_fini(&inside);
	}
	closedir(dir);
	return n;
}

static size_t replay(const char *path)
{
	struct stat what;

	CHECK(stat(path, &what) == 0);
	return S_ISDIR(what.st_mode) ? replay_directory(path) : replay_file(path);
}

int main(int argc, char **argv)
{
	size_t n = 0;

	signal(SIGABRT, on_abort);
	run(STR_NONE);
	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	printf("replayed %zu inputs\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
