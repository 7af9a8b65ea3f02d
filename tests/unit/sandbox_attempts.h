/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each thing is tried by a child of its own, and what the sandboxes of all processes must stop. */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

enum { DID = 10, DID_NOT, NO_SANDBOX };

/* @attempt returns 0 if it did it. @enter: into the sandbox; NULL: outside. Returns how the child
 * ended. */
static inline int run_attempt(int (*attempt)(void), int (*enter)(struct assay_err *err))
{
	struct assay_err err = { 0 };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (enter && enter(&err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(NO_SANDBOX);
		}
		_exit(attempt() == 0 ? DID : DID_NOT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int fork_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : -1;
}

static inline int execute(void)
{
	execl("/bin/true", "true", NULL);
	return -1;
}

static inline int open_network(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : -1;
}

static inline int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 ? 0 : -1;
}

static inline int open_to_write(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static inline int signal_parent(void)
{
	return kill(getppid(), 0);
}

static inline int be_traced(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static inline int trace_parent(void)
{
	return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0 || errno == EPERM ? 0 : -1;
}

static inline int map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

/* Each can be done outside, and ends who tries it inside. */
static inline void assert_each_is_stopped(int (*const attempts[])(void), size_t n,
					  int (*enter)(struct assay_err *err))
{
	if (getuid() != 0) {
		print_message("only root has rights to lose\n");
		skip();
	}
	for (size_t i = 0; i < n; i++) {
		int outside = run_attempt(attempts[i], NULL);
		int inside = run_attempt(attempts[i], enter);

		if (outside != DID || inside != -SIGSYS)
			fail_msg("attempt %zu: %d outside, %d inside", i, outside, inside);
	}
}
