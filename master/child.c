/* A child process of the master: its beginning, its end, and when to start the next. */
#include "master/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/times.h"

void child_begin(pid_t parent, const int *ignored)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* A parent that died before that call sends nothing. */
	if (getppid() != parent)
		_exit(0);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	for (const int *signo = ignored; *signo != 0; signo++)
		signal(*signo, SIG_IGN);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The bytes that ps shows: the arguments, which lie side by side in memory. */
static size_t room_for_title(void)
{
	char text[4096];
	FILE *f = fopen("/proc/self/cmdline", "re");
	if (f == NULL)
		return 0;
	size_t len = fread(text, 1, sizeof(text), f);
	fclose(f);
	return len;
}

void child_title(const char *title)
{
	prctl(PR_SET_NAME, title);
	size_t room = room_for_title();
	if (room <= strlen(title))
		return;
	strncpy(program_invocation_name, title, room);
}

const char *child_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		snprintf(out, size, "was killed by SIG%s%s", name != NULL ? name : "?",
		         WCOREDUMP(status) ? " (core dumped)" : "");
	} else {
		snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
	}
	return out;
}

unsigned child_backoff(unsigned last_ms, uint64_t lived_ms)
{
	if (lived_ms >= CRASH_MS)
		return 0;
	if (last_ms == 0)
		return RESPAWN_MIN_MS;
	return last_ms >= RESPAWN_MAX_MS / 2 ? RESPAWN_MAX_MS : last_ms * 2;
}
