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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/macros.h"

enum { DID = 10, DID_NOT, NO_SANDBOX };

/* Of who tries. Asked before the sandbox: getppid() is not allowed there either, and would be what
 * ends an attempt. */
static pid_t attempts_parent;

/* @attempt returns 0 if it did it. @enter: into the sandbox; NULL: outside. Returns how the child
 * ended. */
static inline int run_attempt(int (*attempt)(void), int (*enter)(struct assay_err *err))
{
	struct assay_err err = { 0 };
	int status;
	pid_t pid;

	attempts_parent = getpid();
	pid = fork();
	if (pid == 0) {
		if (enter && enter(&err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(NO_SANDBOX);
		}
		for (int r = attempt();;) /* not _exit(): see guard.c */
			syscall(SYS_exit_group, r == 0 ? DID : DID_NOT);
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
	return kill(attempts_parent, 0);
}

static inline int be_traced(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static inline int trace_parent(void)
{
	return ptrace(PTRACE_SEIZE, attempts_parent, NULL, NULL) == 0 || errno == EPERM ? 0 : -1;
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

/* ---- calls that no process of assayd's needs but main, and who mounts ---------------------------
 */

/* Outside each comes to nothing: no descriptor, address or command is one that there is. What
 * counts is who says no: what is cut off does not get to the kernel's own look at the arguments. */
struct sandbox_call {
	const char *name;
	long nr, arg[5];
};

#define NOWHERE (-4096l) /* no address that can be read */
#define SANDBOX_CALL(call, ...)                                                                    \
	{                                                                                          \
#call, SYS_##call,                                                                 \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct sandbox_call sandbox_calls[] = {
	/* programs, modules, kernels */
	SANDBOX_CALL(execveat, -1, NOWHERE, NOWHERE),
	SANDBOX_CALL(init_module, NOWHERE, 1, NOWHERE),
	SANDBOX_CALL(finit_module, -1, NOWHERE),
	SANDBOX_CALL(delete_module, NOWHERE),
	SANDBOX_CALL(kexec_load, 0, 1, NOWHERE, -1),
	SANDBOX_CALL(reboot, 0, 0, 0, NOWHERE),
	SANDBOX_CALL(bpf, -1, NOWHERE),
	SANDBOX_CALL(perf_event_open, NOWHERE, -1, -1, -1),
	SANDBOX_CALL(userfaultfd, -1),
	SANDBOX_CALL(io_uring_setup, 1, NOWHERE),
	SANDBOX_CALL(swapon, NOWHERE),
	SANDBOX_CALL(swapoff, NOWHERE),
	SANDBOX_CALL(acct, NOWHERE),
	SANDBOX_CALL(syslog, -1),
	SANDBOX_CALL(quotactl, -1, NOWHERE),
	SANDBOX_CALL(clock_settime, -1, NOWHERE),
	SANDBOX_CALL(settimeofday, NOWHERE, NOWHERE),
	SANDBOX_CALL(adjtimex, NOWHERE),
	SANDBOX_CALL(sethostname, NOWHERE, -1),
	SANDBOX_CALL(keyctl, -1),
	SANDBOX_CALL(add_key, NOWHERE, NOWHERE),
	SANDBOX_CALL(request_key, NOWHERE, NOWHERE),
	SANDBOX_CALL(personality, -1),
	/* other processes */
	SANDBOX_CALL(process_vm_readv, -1, NOWHERE, 1, NOWHERE, 1),
	SANDBOX_CALL(process_vm_writev, -1, NOWHERE, 1, NOWHERE, 1),
	SANDBOX_CALL(process_madvise, -1, NOWHERE),
	SANDBOX_CALL(pidfd_open, -1),
	SANDBOX_CALL(pidfd_getfd, -1, -1),
	SANDBOX_CALL(pidfd_send_signal, -1, 0, NOWHERE),
	SANDBOX_CALL(rt_sigqueueinfo, -1, 0, NOWHERE),
	SANDBOX_CALL(tkill, -1),
	SANDBOX_CALL(kcmp, -1, -1),
	SANDBOX_CALL(setpriority, -1),
	SANDBOX_CALL(sched_setscheduler, -1, -1, NOWHERE),
	SANDBOX_CALL(timer_create, -1, NOWHERE, NOWHERE),
	/* mounts and namespaces */
	SANDBOX_CALL(mount, NOWHERE, NOWHERE, NOWHERE),
	SANDBOX_CALL(fsopen, NOWHERE, -1),
	SANDBOX_CALL(fsmount, -1, -1),
	SANDBOX_CALL(fspick, -1, NOWHERE),
	SANDBOX_CALL(open_tree, -1, NOWHERE),
	SANDBOX_CALL(move_mount, -1, NOWHERE, -1, NOWHERE),
	SANDBOX_CALL(pivot_root, NOWHERE, NOWHERE),
	SANDBOX_CALL(chroot, NOWHERE),
	SANDBOX_CALL(unshare, 1),
	SANDBOX_CALL(setns, -1, -1),
	/* watching and other people's files */
	SANDBOX_CALL(fanotify_init, -1, -1),
	SANDBOX_CALL(fanotify_mark, -1, -1),
	SANDBOX_CALL(name_to_handle_at, -1, NOWHERE, NOWHERE, NOWHERE),
	SANDBOX_CALL(open_by_handle_at, -1, NOWHERE),
	SANDBOX_CALL(openat2, -1, NOWHERE, NOWHERE),
	SANDBOX_CALL(memfd_create, NOWHERE),
	/* names, modes, contents */
	SANDBOX_CALL(mknodat, -1, NOWHERE),
	SANDBOX_CALL(mkdirat, -1, NOWHERE),
	SANDBOX_CALL(unlinkat, -1, NOWHERE),
	SANDBOX_CALL(renameat2, -1, NOWHERE, -1, NOWHERE),
	SANDBOX_CALL(linkat, -1, NOWHERE, -1, NOWHERE),
	SANDBOX_CALL(symlinkat, NOWHERE, -1, NOWHERE),
	SANDBOX_CALL(fchmodat, -1, NOWHERE),
	SANDBOX_CALL(fchmod, -1),
	SANDBOX_CALL(fchownat, -1, NOWHERE),
	SANDBOX_CALL(fchown, -1),
	SANDBOX_CALL(utimensat, -1, NOWHERE, NOWHERE),
	SANDBOX_CALL(truncate, NOWHERE),
	SANDBOX_CALL(fallocate, -1),
	SANDBOX_CALL(setxattr, NOWHERE, NOWHERE, NOWHERE),
	SANDBOX_CALL(fsetxattr, -1, NOWHERE, NOWHERE),
	SANDBOX_CALL(removexattr, NOWHERE, NOWHERE),
	SANDBOX_CALL(copy_file_range, -1, 0, -1),
	SANDBOX_CALL(splice, -1, 0, -1),
	/* ids and rights */
	SANDBOX_CALL(setresuid, -1, -1, -1),
	SANDBOX_CALL(setresgid, -1, -1, -1),
	SANDBOX_CALL(setgroups, -1, NOWHERE),
	SANDBOX_CALL(setfsuid, -1),
	SANDBOX_CALL(capset, NOWHERE, NOWHERE),
	SANDBOX_CALL(seccomp, -1),
	/* sockets */
	SANDBOX_CALL(bind, -1, NOWHERE),
	SANDBOX_CALL(connect, -1, NOWHERE),
	SANDBOX_CALL(listen, -1),
	SANDBOX_CALL(accept4, -1, NOWHERE, NOWHERE),
	SANDBOX_CALL(socketpair, AF_UNIX, -1, 0, NOWHERE),
	SANDBOX_CALL(setsockopt, -1),
};

/* What is tried now; fork() hands it on. */
static const struct sandbox_call *sandbox_call_now;
static int sandbox_family_now;

/* Refused is by EPERM: none of them says so to root outside. */
static inline int make_call(void)
{
	const struct sandbox_call *c = sandbox_call_now;
	long r = syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], 0l);

	return r < 0 && errno == EPERM ? -1 : 0;
}

/* A family that this kernel does not have is another thing than one that is refused. */
static inline int open_family(void)
{
	return socket(sandbox_family_now, SOCK_RAW, 0) < 0 && errno == EPERM ? -1 : 0;
}

static inline bool is_named(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* @end: how each ends inside, -SIGSYS or DID_NOT. @but: names of those that may be made, or NULL. A
 * container may refuse some to all: that shows nothing, and is said. */
static inline void assert_no_call(int (*enter)(struct assay_err *err), int end,
				  const char *const *but)
{
	size_t left_out = 0;

	for (size_t i = 0; i < ARRAY_LEN(sandbox_calls); i++) {
		int inside;

		sandbox_call_now = &sandbox_calls[i];
		if (is_named(but, sandbox_call_now->name))
			continue;
		if (run_attempt(make_call, NULL) != DID) {
			print_message("%s() is refused outside, too\n", sandbox_call_now->name);
			left_out++;
		}
		inside = run_attempt(make_call, enter);
		if (inside != end)
			fail_msg("%s(): %d inside", sandbox_call_now->name, inside);
	}
	assert_true(left_out < ARRAY_LEN(sandbox_calls) / 2);
}

/* Of no family, whatever the kernel has. */
static inline void assert_no_family(int (*enter)(struct assay_err *err), int end)
{
	for (sandbox_family_now = 0; sandbox_family_now < AF_MAX; sandbox_family_now++) {
		int inside = run_attempt(open_family, enter);

		if (inside != end)
			fail_msg("socket() of family %d: %d inside", sandbox_family_now, inside);
	}
}

/* ---- rights --------------------------------------------------------------------------------- */

static inline void read_status(pid_t pid, char ret[static 4096])
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, ret, 4095);
	ret[n > 0 ? n : 0] = '\0';
	close(fd);
}

static inline void assert_caps(const char *status, const char *set, uint64_t wanted)
{
	char line[64];

	snprintf(line, sizeof(line), "\n%s:\t%016llx\n", set, (unsigned long long)wanted);
	if (!strstr(status, line))
		fail_msg("it has not %s", line + 1);
}

/* What others see of one inside. @caps: that it keeps; @bound: that whatever it executes might. */
static inline void assert_rights_left(int (*enter)(struct assay_err *err), uint64_t caps,
				      uint64_t bound)
{
	char status[4096] = "", byte = 0;
	int in[2], out[2];
	pid_t pid;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		close(out[1]);
		if (enter(NULL) == 0 && write(in[1], &byte, 1) == 1)
			(void)!read(out[0], &byte, 1);
		_exit(0);
	}
	close(in[1]);
	close(out[0]);
	if (read(in[0], &byte, 1) == 1)
		read_status(pid, status);
	close(out[1]);
	close(in[0]);
	waitpid(pid, NULL, 0); /* before anything is found wrong: it holds what others wait for */
	assert_caps(status, "CapPrm", caps);
	assert_caps(status, "CapEff", caps);
	assert_caps(status, "CapBnd", bound);
	assert_caps(status, "CapInh", 0);
	assert_caps(status, "CapAmb", 0);
	assert_non_null(strstr(status, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(status, "\nSeccomp:\t2\n"));
}
