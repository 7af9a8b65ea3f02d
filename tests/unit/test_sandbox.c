/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process in the sandbox can do no more: each thing is tried by a child of its own, first
 * outside (where it must work, or the test shows nothing) and then inside. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"

static struct assay_sandbox sandbox = { .uid = ASSAY_SANDBOX_SAME_ID, .max_files = 16 };

static int enter(struct assay_err *err)
{
	return assay_sandbox_enter(&sandbox, NULL, err);
}

static int try_it(int (*attempt)(void), bool inside)
{
	return run_attempt(attempt, inside ? enter : NULL);
}

static int signal_parent_thread(void)
{
	return (int)syscall(SYS_tgkill, attempts_parent, attempts_parent, 0);
}

static int make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int make_file(void)
{
	return (int)syscall(SYS_memfd_create, "x", 0) >= 0 ? 0 : -1;
}

static void *no_work(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, no_work, NULL) != 0)
		return -1;
	return pthread_join(thread, NULL);
}

static void what_is_not_named_kills(void **state)
{
	int (*const attempts[])(void) = {
		fork_process,	execute,	 open_network, signal_parent, signal_parent_thread,
		map_executable, make_executable, be_traced,    make_file,     start_thread,
	};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		int outside = try_it(attempts[i], false), inside = try_it(attempts[i], true);

		if (attempts[i] == execute)
			assert_int_equal(outside, 0); /* it is /bin/true then */
		else
			assert_int_equal(outside, DID);
		if (inside != -SIGSYS)
			print_error("attempt %zu: %d\n", i, inside);
		assert_int_equal(inside, -SIGSYS);
	}
}

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

/* With the system call allowed: the path must not be reached. */
static void paths_are_taken(void **state)
{
	static const char *const calls[] = { "openat", "open", NULL };
	struct assay_sandbox with_open = sandbox;
	struct assay_sandbox_path etc = { .fd = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC) };

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
		print_message("no Landlock here\n");
		skip();
	}
	sandbox.syscalls = calls;
	assert_int_equal(try_it(open_file, false), DID);
	assert_int_equal(try_it(open_file, true), DID_NOT);
	sandbox.paths = &etc;
	sandbox.n_paths = 1;
	assert_int_equal(try_it(open_file, true), DID);
	sandbox = with_open;
	close(etc.fd);
}

static int send_signals_by_owner(void)
{
	return fcntl(STDIN_FILENO, F_SETOWN, attempts_parent);
}

static int get_flags(void)
{
	return fcntl(STDIN_FILENO, F_GETFL) >= 0 ? 0 : -1;
}

static void descriptors_send_no_signals(void **state)
{
	static const char *const calls[] = { "fcntl", NULL };

	sandbox.syscalls = calls;
	assert_int_equal(try_it(get_flags, true), DID);
	assert_int_equal(dup2(socket(AF_UNIX, SOCK_STREAM, 0), STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(try_it(send_signals_by_owner, false), DID);
	assert_int_equal(try_it(send_signals_by_owner, true), -SIGSYS);
	sandbox.syscalls = NULL;
}

static int open_to_read(void)
{
	return openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int open_to_truncate(void)
{
	return openat(AT_FDCWD, "/dev/null", O_RDONLY | O_TRUNC | O_CLOEXEC) >= 0 ? 0 : -1;
}

static void who_only_reads_does_not_write(void **state)
{
	static const char *const calls[] = { "openat", NULL };
	struct assay_sandbox before = sandbox;

	sandbox.syscalls = calls;
	sandbox.all_paths = true;
	assert_int_equal(try_it(open_to_write, true), DID);
	assert_int_equal(try_it(open_to_truncate, true), DID);
	sandbox.only_reads = true;
	assert_int_equal(try_it(open_to_read, true), DID);
	assert_int_equal(try_it(open_to_write, true), -SIGSYS);
	assert_int_equal(try_it(open_to_truncate, true), -SIGSYS);
	sandbox = before;
}

#ifdef __x86_64__
/* getpid() by the i386 number; the thread that calls is not the first. */
static void *call_as_i386(void *arg)
{
	long nr = 20;

	__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
	*(long *)arg = nr;
	return NULL;
}

static int call_in_thread(void)
{
	pthread_t thread;
	long nr = -1;

	if (pthread_create(&thread, NULL, call_as_i386, &nr) != 0 ||
	    pthread_join(thread, NULL) != 0)
		return -1;
	return nr == getpid() ? 0 : -1;
}
#endif

static void another_abi_kills_the_process(void **state)
{
#ifdef __x86_64__
	struct assay_sandbox before = sandbox;

	if (try_it(call_in_thread, false) != DID) {
		print_message("this kernel has no calls of i386\n");
		skip();
	}
	sandbox.may_thread = true;
	assert_int_equal(try_it(call_in_thread, true), -SIGSYS);
	sandbox = before;
#else
	skip();
#endif
}

static int start_process_by_clone(void)
{
	return (int)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) >= 0 ? 0 : -1;
}

static void threads_are_no_processes(void **state)
{
	struct assay_sandbox without = sandbox;

	sandbox.may_thread = true;
	assert_int_equal(try_it(start_thread, true), DID);
	assert_int_equal(try_it(fork_process, true), -SIGSYS);
	assert_int_equal(try_it(start_process_by_clone, true), -SIGSYS);
	sandbox = without;
}

static int compare_ids(void)
{
	struct rlimit l;
	uid_t r, e, s;

	getresuid(&r, &e, &s);
	if (r != 65534 || e != 65534 || s != 65534 || getgid() != 65534 || getgroups(0, NULL) != 0)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	for (int cap = 0; cap < 38; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 0)
			return 3;
	getrlimit(RLIMIT_NOFILE, &l);
	return l.rlim_max == 16 ? 0 : 4;
}

static uint64_t effective_caps(void)
{
	unsigned long long caps = ~0ull;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	return caps;
}

static int compare_kept(void)
{
	return effective_caps() == 1u << 21 && getuid() == 65534 ? 0 : 1; /* CAP_SYS_ADMIN */
}

static void rights_are_given_up(void **state)
{
	static const char *const calls[] = { "getresuid", "getgid",    "getgroups",  "prctl",
					     "prlimit64", "getrlimit", "newfstatat", "getuid",
					     "openat",	  "fstat",     "lseek",	     "setrlimit",
					     NULL };
	static const struct assay_sandbox_path proc_path = { .fd = 100 };
	struct assay_sandbox before = sandbox;
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (getuid() != 0) {
		print_message("only root has rights to give up\n");
		skip();
	}
	assert_int_equal(dup2(proc, 100), 100);
	sandbox.uid = sandbox.gid = 65534;
	sandbox.syscalls = calls;
	assert_int_equal(try_it(compare_ids, true), DID);
	sandbox.keep_caps = 1u << 21;
	sandbox.paths = &proc_path;
	sandbox.n_paths = 1;
	assert_int_equal(try_it(compare_kept, true), DID);
	sandbox = before;
	close(100);
	close(proc);
}

static int write_file(void)
{
	char byte = 0;

	signal(SIGXFSZ, SIG_IGN);
	return write(101, &byte, 1) == 1 ? 0 : -1;
}

static void files_do_not_grow(void **state)
{
	static const char *const calls[] = { "rt_sigaction", NULL };
	int fd = (int)syscall(SYS_memfd_create, "x", 0);

	assert_int_equal(dup2(fd, 101), 101);
	sandbox.syscalls = calls;
	assert_int_equal(try_it(write_file, false), DID);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(try_it(write_file, true), DID_NOT);
	sandbox.syscalls = NULL;
	close(101);
	close(fd);
}

static void a_wrong_name_is_an_error(void **state)
{
	static const char *const calls[] = { "opeanat", NULL };
	struct assay_sandbox wrong = { .uid = ASSAY_SANDBOX_SAME_ID, .syscalls = calls };
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct assay_err err = { 0 };
		int r = assay_sandbox_enter(&wrong, NULL, &err);

		_exit(r == -EINVAL && strstr(err.text, "opeanat") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_named_kills),
		cmocka_unit_test(paths_are_taken),
		cmocka_unit_test(threads_are_no_processes),
		cmocka_unit_test(descriptors_send_no_signals),
		cmocka_unit_test(who_only_reads_does_not_write),
		cmocka_unit_test(another_abi_kills_the_process),
		cmocka_unit_test(rights_are_given_up),
		cmocka_unit_test(files_do_not_grow),
		cmocka_unit_test(a_wrong_name_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
