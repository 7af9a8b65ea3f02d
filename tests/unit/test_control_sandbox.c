/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process that listens can do no more, in its own sandbox: each thing is tried by a child
 * of its own, first outside (where it must work, or the test shows nothing) and then inside. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/control/control_sandbox.h"
#include "programs/common/control_msg.h"

static char dir[] = "/tmp/assay-control-XXXXXX";
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int listener;

static int enter(struct assay_err *err)
{
	return control_sandbox_enter(NULL, err);
}

static int try_it(int (*attempt)(void), bool inside)
{
	return run_attempt(attempt, inside ? enter : NULL);
}

/* ---- what kills ----------------------------------------------------------------------------- */

static int clone_process(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0 ? 0 : -1;
}

static void *no_work(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, no_work, NULL) == 0 ? pthread_join(thread, NULL) : -1;
}

static int execute_shell(void)
{
	execl("/bin/sh", "sh", "-c", "exit 10", NULL);
	return -1;
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0 ? 0 : -1;
}

static int connect_again(void)
{
	static int fd = -1;

	fd = dup(listener); /* any socket: the call is what counts */
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EPERM ? 0
											       : -1;
}

static int listen_again(void)
{
	return listen(listener, 1);
}

static int make_file(void)
{
	return (int)syscall(SYS_memfd_create, "x", 0) >= 0 ? 0 : -1;
}

static int look_at_path(void)
{
	return faccessat(AT_FDCWD, address.sun_path, F_OK, 0);
}

static int become_root(void)
{
	return setresuid(0, 0, 0);
}

static void what_is_not_named_kills(void **state)
{
	int (*const attempts[])(void) = {
		clone_process, start_thread, execute_shell,  make_socket,
		connect_again, listen_again, make_file,	     look_at_path,
		signal_parent, be_traced,    map_executable, become_root,
	};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		assert_int_equal(try_it(attempts[i], false), DID);
		assert_int_equal(try_it(attempts[i], true), -SIGSYS);
	}
}

/* ---- no path -------------------------------------------------------------------------------- */

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : -1;
}

static int open_list(void)
{
	return openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY) >= 0 ? 0 : -1;
}

/* Killed, but in a build whose sanitizer needs the call: there Landlock or the modes refuse. */
static void no_path_is_opened(void **state)
{
	int (*const attempts[])(void) = { open_file, open_list };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	const int end = DID_NOT;
#else
	const int end = -SIGSYS;
#endif

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		assert_int_equal(try_it(attempts[i], false), DID);
		assert_int_equal(try_it(attempts[i], true), end);
	}
}

/* ---- what it is there for ------------------------------------------------------------------- */

static int parse_request(void)
{
	static struct control_request request;
	const struct assay_bytes text =
		assay_bytes_str("{\"op\": \"pcrs\", \"pcrs\": \"sha256:1\"}");

	return control_request_read(text, &request, NULL) == 0 && request.op == CONTROL_PCRS ? 0
											     : -1;
}

static int take_in(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 && errno == EAGAIN &&
			       getsockopt(listener, SOL_SOCKET, SO_TYPE, &peer, &len) == 0
		       ? 0
		       : -1;
}

static void it_still_serves(void **state)
{
	assert_int_equal(try_it(parse_request, true), DID);
	assert_int_equal(try_it(take_in, true), DID);
}

/* ---- */

static int set_up(void **state)
{
	if (geteuid() != 0)
		return 0;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0700), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", dir);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	return listen(listener, 1);
}

static int tear_down(void **state)
{
	unlink(address.sun_path);
	rmdir(dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_named_kills),
		cmocka_unit_test(no_path_is_opened),
		cmocka_unit_test(it_still_serves),
	};

	if (geteuid() != 0) {
		puts("only root can give up what is tried here");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
