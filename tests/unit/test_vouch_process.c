/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that looks at what exempt ones run: what it tells of this one, and what it can do no
 * more. This program plays it. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/source_fanotify/content.h"
#include "base/clock.h"
#include "base/fmt.h"
#include "programs/assayd/vouch/vouch.h"
#include "programs/assayd/vouch/vouch_process.h"

static struct spawner *spawner;
static struct vouch *vouch;
static struct vouch_told told;

static int start(void *ctx, bool digests, struct child *ret, struct assay_err *err)
{
	int r = spawner_start(spawner, digests ? CHILD_VOUCH_DIGEST : CHILD_VOUCH, NULL, 0, NULL,
			      NULL, ret, err);

	return r < 0 ? r : fcntl(ret->socket, F_SETFL, O_NONBLOCK);
}

static int ask(enum vouch_message type, pid_t pid, const char *tcti)
{
	const struct vouch_question q = { .type = type,
					  .pid = pid,
					  .alg = ASSAY_HASH_SHA256,
					  .tcti = tcti,
					  .digests = type == VOUCH_RECORD,
					  .patience_ms = 60000 };
	int r = vouch_ask(vouch, &q, assay_clock_ns());

	assert_int_equal(r, 0);
	do {
		struct pollfd p = { .fd = vouch_fd(vouch), .events = POLLIN };

		poll(&p, 1, 1000);
		r = vouch_hear(vouch, assay_clock_ns(), &told);
	} while (r == -EAGAIN);
	return r < 0 ? r : told.error;
}

static void need_root(void)
{
	if (getuid() != 0) {
		print_message("only root may look at others\n");
		skip();
	}
}

static void says_what_we_run(void **state)
{
	char path[PATH_MAX];
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	need_root();
	assert_true(n > 0);
	path[n] = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(ask(VOUCH_PROGRAM, getpid(), NULL), 0);
	assert_string_equal(told.path, path);
	assert_int_equal(told.program.ino, st.st_ino);
	assert_int_equal(makedev(told.program.major, told.program.minor), st.st_dev);
	assert_int_equal(ask(VOUCH_PROGRAM, 4194304 + 1, NULL), -ENOENT); /* no process has it */
}

static void says_its_digest(void **state)
{
	AUTO(content) struct assay_content *content = NULL;
	const enum assay_hash alg = ASSAY_HASH_SHA256;
	struct assay_crypto_openssl *openssl = NULL;
	struct assay_digest wanted;
	struct assay_crypto crypto;
	uint64_t bytes;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	need_root();
	assert_int_equal(assay_crypto_openssl_new(&openssl, NULL), 0);
	crypto = assay_crypto_openssl_port(openssl);
	assert_int_equal(assay_content_new(&crypto, &alg, 1, &content, NULL), 0);
	assert_int_equal(assay_content_digest(content, fd, NULL, NULL, &wanted, &bytes), 0);
	close(fd);
	assert_int_equal(ask(VOUCH_RECORD, getpid(), NULL), 0);
	assert_int_equal(told.digest.alg, alg);
	assert_memory_equal(told.digest.data, wanted.data, 32);
	assay_crypto_openssl_free(openssl);
}

static void finds_who_listens(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char tcti[PATH_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	need_root();
	assay_fmt(a.sun_path, sizeof(a.sun_path), "/tmp/assay-test-vouch.%d", (int)getpid());
	assay_fmt(tcti, sizeof(tcti), "swtpm:path=%s", a.sun_path);
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(ask(VOUCH_LISTENER, 1, tcti), 0);
	assert_int_equal(told.listener, 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(ask(VOUCH_LISTENER, 1, tcti), 0);
	assert_int_equal(told.listener, getpid());
	close(fd);
	unlink(a.sun_path);
}

/* ---- what it can do no more ----------------------------------------------------------------- */

static int enter(struct assay_err *err)
{
	(void)err;
	return vouch_sandbox();
}

static void looks_and_nothing_else(void **state)
{
	static int (*const attempts[])(void) = { open_to_write, open_socket,  fork_process,
						 signal_parent, trace_parent, map_executable };

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter);
}

static int set_up(void **state)
{
	const struct vouch_ops ops = { .start = start };

	return spawner_new(NULL, &spawner, NULL) < 0 ? -1 : vouch_new(&ops, &vouch);
}

static int tear_down(void **state)
{
	vouch_free(vouch);
	spawner_free(spawner);
	return 0;
}

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = {
		[CHILD_VOUCH] = vouch_process, [CHILD_VOUCH_DIGEST] = vouch_digest_process
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_we_run),
		cmocka_unit_test(says_its_digest),
		cmocka_unit_test(finds_who_listens),
		cmocka_unit_test(looks_and_nothing_else),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
