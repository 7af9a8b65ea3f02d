/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Children by way of the spawner: this program plays the daemon and, executed again, its children.
 */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/programs.h"
#include "programs/assayd/process/spawner.h"

#define PATIENCE_MS 60000

/* ---- what children do ----------------------------------------------------------------------- */

static int last_fd(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int last = -1;

	while ((e = readdir(d)))
		if (atoi(e->d_name) > last && atoi(e->d_name) != dirfd(d))
			last = atoi(e->d_name);
	closedir(d);
	return last;
}

/* Says which descriptors it has, and what the second of those that it is given holds. */
static int play_worker(void)
{
	struct ipc_buffer buffer;
	struct ipc_message m = { .type = 1, .id = (uint64_t)last_fd() };
	char text[16] = { 0 };

	if (m.id > CHILD_FDS)
		m.body = assay_bytes(text, (size_t)pread(CHILD_FDS + 1, text, sizeof(text), 0));
	if (ipc_send(CHILD_SOCKET, &m) < 0)
		return 1;
	return ipc_receive(CHILD_SOCKET, &buffer, &m) == -EPIPE ? 0 : 1;
}

/* Stays, whatever happens to its socket. */
static int play_view(void)
{
	const struct ipc_message m = { .type = 1 };

	for (int r = ipc_send(CHILD_SOCKET, &m); r == 0;)
		pause();
	return 1;
}

static const child_fn roles[CHILD_ROLE_COUNT] = {
	[CHILD_WORKER] = play_worker,
	[CHILD_VIEW] = play_view,
};

/* ---- tests ---------------------------------------------------------------------------------- */

static bool wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, PATIENCE_MS) == 1;
}

static void receive(struct child *c, struct ipc_buffer *buffer, struct ipc_message *ret)
{
	assert_true(wait_readable(c->socket));
	assert_int_equal(ipc_receive(c->socket, buffer, ret), 0);
}

static void a_child_gets_what_it_is_given_and_no_more(void **state)
{
	int given[] = { 0, ipc_sealed(assay_bytes_str("given")) };
	int kept = open("/dev/null", O_RDONLY); /* not even this */
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct spawner *s;
	struct child c;

	assert_int_equal(spawner_new(NULL, &s, NULL), 0);
	for (size_t n = 0; n <= 2; n += 2) {
		assert_int_equal(spawner_start(s, CHILD_WORKER, given, n, NULL, NULL, &c, NULL), 0);
		receive(&c, &buffer, &m);
		assert_int_equal(m.id, CHILD_SOCKET + n);
		assert_true(n == 0 || assay_bytes_equal(m.body, assay_bytes_str("given")));
		close(c.socket);
		c.socket = -1;
		assert_true(wait_readable(c.pidfd));
		child_close(&c);
	}
	spawner_free(s);
	close(given[1]);
	close(kept);
}

struct admission {
	int answer;
	bool seen, executed;
};

static int admit(void *ctx, pid_t pid, int pidfd)
{
	struct admission *a = ctx;
	char path[64], line[64] = { 0 };
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	a->seen = fd >= 0 && read(fd, line, sizeof(line) - 1) > 0 && poll(&p, 1, 0) == 0;
	a->executed = strcmp(line, "assayd: spawner") != 0;
	close(fd);
	return a->answer;
}

static void a_child_waits_for_leave(void **state)
{
	struct admission a = { .answer = -EACCES };
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct spawner *s;
	struct child c;

	assert_int_equal(spawner_new(NULL, &s, NULL), 0);
	assert_int_equal(spawner_start(s, CHILD_WORKER, NULL, 0, admit, &a, &c, NULL), -EACCES);
	assert_true(a.seen);
	assert_false(a.executed);
	a = (struct admission){ 0 };
	assert_int_equal(spawner_start(s, CHILD_WORKER, NULL, 0, admit, &a, &c, NULL), 0);
	assert_true(a.seen);
	assert_false(a.executed);
	receive(&c, &buffer, &m);
	child_close(&c);
	spawner_free(s);
}

static void all_end_with_the_spawner(void **state)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct child c[3];
	struct spawner *s;

	assert_int_equal(spawner_new(NULL, &s, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		assert_int_equal(spawner_start(s, CHILD_VIEW, NULL, 0, NULL, NULL, &c[i], NULL), 0);
		receive(&c[i], &buffer, &m);
	}
	spawner_free(s);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		struct pollfd p = { .fd = c[i].pidfd, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 0), 1);
		child_close(&c[i]);
	}
}

/* The daemon is killed: it can free nothing. */
static void all_end_with_main(void **state)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	int pair[2];
	pid_t pid;

	assert_int_equal(ipc_pair(pair), 0);
	pid = fork();
	if (pid == 0) {
		struct ipc_message out = { .type = 1, .n_fds = 1 };
		struct spawner *s;
		struct child c;

		close(pair[0]);
		if (spawner_new(NULL, &s, NULL) == 0 &&
		    spawner_start(s, CHILD_VIEW, NULL, 0, NULL, NULL, &c, NULL) == 0 &&
		    wait_readable(c.socket)) {
			out.fd[0] = c.pidfd;
			if (ipc_send(pair[1], &out) == 0)
				raise(SIGKILL);
		}
		_exit(1);
	}
	close(pair[1]);
	assert_int_equal(ipc_receive(pair[0], &buffer, &m), 0);
	assert_true(wait_readable(m.fd[0]));
	ipc_close_fds(&m);
	waitpid(pid, NULL, 0);
	close(pair[0]);
}

static void what_cannot_be_started_is_said(void **state)
{
	const int fds[CHILD_FDS_MAX + 1] = { 0 };
	struct assay_err err;
	struct spawner *s;
	struct child c;

	assert_int_equal(spawner_new(NULL, &s, NULL), 0);
	assert_int_equal(spawner_start(s, CHILD_SPAWNER, NULL, 0, NULL, NULL, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "cannot start a process"));
	assert_int_equal(spawner_start(s, CHILD_WORKER, fds, ARRAY_LEN(fds), NULL, NULL, &c, &err),
			 -E2BIG);
	/* A role that this program does not play ends at once. */
	assert_int_equal(spawner_start(s, CHILD_ANCHOR, NULL, 0, NULL, NULL, &c, &err), 0);
	assert_true(wait_readable(c.pidfd));
	child_close(&c);
	spawner_free(s);
}

/* As an upgrade does: what was opened is executed, whatever its path leads to by now. */
static void what_was_opened_is_executed(void **state)
{
	static struct programs programs;
	char copy[] = "/tmp/assay-program-XXXXXX", path[64], link[64] = { 0 };
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = mkstemp(copy);
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct spawner *s;
	struct child c;

	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	fchmod(to, 0700);
	close(to);
	for (int i = 0; i < CHILD_ROLE_COUNT; i++)
		programs.fd[i] = -1; /* that there is none does not move the others */
	programs.fd[CHILD_SPAWNER] = from;
	programs.fd[CHILD_VIEW] = open(copy, O_RDONLY | O_CLOEXEC);
	unlink(copy);
	assert_int_equal(spawner_new(&programs, &s, NULL), 0);
	close(programs.fd[CHILD_VIEW]);
	assert_int_equal(spawner_start(s, CHILD_VIEW, NULL, 0, NULL, NULL, &c, NULL), 0);
	receive(&c, &buffer, &m);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)c.pid);
	assert_true(readlink(path, link, sizeof(link) - 1) > 0);
	assert_memory_equal(link, copy, strlen(copy));
	child_close(&c);
	spawner_free(s);
	close(from);
}

static void another_version_is_no_child(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/proc/self/exe", "assayd: view", CHILD_OPTION, "view", "0.0", NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_gets_what_it_is_given_and_no_more),
		cmocka_unit_test(a_child_waits_for_leave),
		cmocka_unit_test(all_end_with_the_spawner),
		cmocka_unit_test(all_end_with_main),
		cmocka_unit_test(what_cannot_be_started_is_said),
		cmocka_unit_test(what_was_opened_is_executed),
		cmocka_unit_test(another_version_is_no_child),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
