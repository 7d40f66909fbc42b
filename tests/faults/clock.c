/* A wall clock that a test can set, of the processes that preload this (LD_PRELOAD) alone:
 * CLOCK_REALTIME plus the seconds that stand in the file TEST_CLOCK, which is mapped, so that
 * a word of the test's is heard at once. The monotonic clock, the kernel's timers, and the times
 * of files stay as they are. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static const volatile int64_t *set_by_s;

__attribute__((constructor)) static void find(void)
{
	const char *path = getenv("TEST_CLOCK");
	const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = mmap(NULL, sizeof(*set_by_s), PROT_READ, MAP_SHARED, fd, 0);
	/* A test whose clock cannot be set would prove nothing. */
	if (at == MAP_FAILED)
		abort();
	close(fd);
	set_by_s = at;
}

EXPORT int clock_gettime(clockid_t which, struct timespec *t)
{
	const long done = syscall(SYS_clock_gettime, which, t);
	if (done == 0 && set_by_s != NULL &&
	    (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		t->tv_sec += *set_by_s;
	return (int)done;
}

EXPORT int gettimeofday(struct timeval *restrict to, void *restrict zone)
{
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*to = (struct timeval){ .tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000 };
	return 0;
}

EXPORT time_t time(time_t *to)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (to != NULL)
		*to = t.tv_sec;
	return t.tv_sec;
}
