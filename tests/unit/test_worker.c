/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker process, driven as main does it; and what is left of a process in its sandbox. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/worker/worker.h"
#include "programs/assayd/worker/worker_msg.h"

#define PATIENCE_MS 60000
#define BIG_SIZE    (6u << 20) /* read by the thread that reads ahead */

static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_WORKER] = worker_process };

static struct spawner *spawner;

static void start(struct child *c)
{
	struct pollfd p = { .events = POLLIN };
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct assay_err err;

	assert_int_equal(spawner_start(spawner, CHILD_WORKER, NULL, 0, NULL, NULL, c, &err), 0);
	p.fd = c->socket;
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(ipc_receive(c->socket, &buffer, &m), 0);
	assert_int_equal(m.type, WORKER_READY);
}

static int make_file(const char *text, size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	return fd;
}

static void give(struct child *c, const struct worker_job *job, const int *fd, uint32_t n)
{
	uint8_t space[WORKER_BATCH_MAX * WORKER_JOB_SIZE];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct ipc_message m = { .type = WORKER_JOBS, .n_fds = n };

	for (uint32_t i = 0; i < n; i++) {
		worker_job_put(&w, &job[i]);
		m.fd[i] = fd[i];
	}
	m.body = assay_wr_done(&w);
	assert_int_equal(ipc_send(c->socket, &m), 0);
}

static void take(struct child *c, struct worker_finding *f, uint32_t n)
{
	struct worker_finding got[WORKER_BATCH_MAX];
	struct ipc_buffer buffer;
	struct ipc_message m;

	for (uint32_t have = 0, more; have < n; have += more) {
		struct pollfd p = { .fd = c->socket, .events = POLLIN };

		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(ipc_receive(c->socket, &buffer, &m), 0);
		assert_int_equal(m.type, WORKER_FINDINGS);
		assert_int_equal(worker_findings_parse(m.body, got, &more), 0);
		assert_true(have + more <= n);
		memcpy(f + have, got, more * sizeof(*f));
	}
}

/* sha256sum of "abc", and of the ELF magic with zeros up to BIG_SIZE. */
static const uint8_t abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
			       0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
			       0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };

static void it_finds_what_is_asked_for(void **state)
{
	const struct worker_job job[] = {
		{ .id = 1, .wanted = WORKER_DIGEST, .alg = ASSAY_HASH_SHA256, .size_max = 100 },
		{ .id = 2, .wanted = WORKER_HEAD, .alg = ASSAY_HASH_SHA256, .size_max = 100 },
		{ .id = 3,
		  .wanted = WORKER_HEAD | WORKER_DIGEST_IF_ELF,
		  .alg = ASSAY_HASH_SHA256,
		  .size_max = 1 << 30 },
		{ .id = 4,
		  .wanted = WORKER_DIGEST_IF_ELF | WORKER_VERITY,
		  .alg = ASSAY_HASH_SHA256,
		  .size_max = 100 },
		{ .id = 5, .wanted = WORKER_DIGEST, .alg = ASSAY_HASH_SHA1, .size_max = 1 << 20 },
	};
	int fd[] = { make_file("abc", 3), make_file("abc", 3), make_file("\177ELF", BIG_SIZE),
		     make_file("abc", 3), make_file("abc", BIG_SIZE) };
	struct worker_finding f[5];
	struct child c;

	start(&c);
	give(&c, job, fd, 5);
	take(&c, f, 5);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(f[i].id, i + 1);
		assert_int_equal(f[i].elf, i == 2);
		assert_int_equal(f[i].verity.alg, ASSAY_HASH_COUNT);
		close(fd[i]);
	}
	assert_int_equal(f[0].bytes, 3);
	assert_memory_equal(f[0].digest.data, abc, sizeof(abc));
	assert_int_equal(f[1].digest.alg, ASSAY_HASH_COUNT);
	assert_int_equal(f[2].bytes, BIG_SIZE);
	assert_int_equal(f[2].digest.alg, ASSAY_HASH_SHA256);
	assert_int_equal(f[3].digest.alg, ASSAY_HASH_COUNT);
	assert_int_equal(f[4].status, WORKER_TOO_LARGE);
	assert_int_equal(f[4].digest.alg, ASSAY_HASH_COUNT);
	child_close(&c);
}

/* A read that never ends, as far as it knows. */
static void it_lets_go(void **state)
{
	const struct worker_job job = {
		.id = 1, .wanted = WORKER_DIGEST, .alg = ASSAY_HASH_SHA256, .size_max = INT64_MAX
	};
	int fd = make_file("", (size_t)1 << 42);
	struct worker_finding f;
	struct child c;

	start(&c);
	give(&c, &job, &fd, 1);
	assert_int_equal(ipc_send(c.socket,
				  &(struct ipc_message){ .type = WORKER_CANCEL, .id = 1 }),
			 0);
	take(&c, &f, 1);
	assert_int_equal(f.status, WORKER_CANCELED);
	close(fd);
	child_close(&c);
}

static void an_unreadable_file_is_said(void **state)
{
	const struct worker_job job = {
		.id = 1, .wanted = WORKER_DIGEST, .alg = ASSAY_HASH_SHA256, .size_max = 100
	};
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct worker_finding f;
	struct child c;

	start(&c);
	give(&c, &job, &fd, 1);
	take(&c, &f, 1);
	assert_int_equal(f.status, WORKER_UNREADABLE);
	close(fd);
	child_close(&c);
}

/* ---- the sandbox ---------------------------------------------------------------------------- */

static int try_open(void)
{
	return open("/dev/null", O_RDONLY);
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static int try_execute(void)
{
	return execl("/bin/true", "true", NULL);
}

static int try_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int try_trace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/* Init: getppid() would be what ends it. */
static int try_signal(void)
{
	return kill(1, 0);
}

static int try_write_attribute(void)
{
	return (int)syscall(SYS_fsetxattr, 0, "user.x", "x", 1, 0);
}

static int try_watch(void)
{
	return (int)syscall(SYS_fanotify_init, 0, 0);
}

static int try_ids(void)
{
	return setuid(0);
}

static void *no_work(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t t;

	return pthread_create(&t, NULL, no_work, NULL) == 0 ? 0 : -1;
}

/* Each ends the process, or, where libc knows no better, fails. */
static void nothing_else_is_left_to_it(void **state)
{
	int (*const tries[])(void) = { try_open,  try_fork,	      try_execute, try_socket,
				       try_trace, try_signal,	      try_thread,  try_watch,
				       try_ids,	  try_write_attribute };

	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			if (worker_sandbox() < 0)
				_exit(2);
			_exit(tries[i]() < 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) ||
			    (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	}
}

static int start_spawner(void **state)
{
	struct assay_err err;

	return spawner_new(NULL, &spawner, &err);
}

static int stop_spawner(void **state)
{
	spawner_free(spawner);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_finds_what_is_asked_for),
		cmocka_unit_test(it_lets_go),
		cmocka_unit_test(an_unreadable_file_is_said),
		cmocka_unit_test(nothing_else_is_left_to_it),
	};

	child_main(argc, argv, roles);
	if (getuid() != 0)
		return 77; /* it changes ids */
	return cmocka_run_group_tests(tests, start_spawner, stop_spawner);
}
