/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is concluded from what the process says that tries an overlay: this program plays it. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <unistd.h>

#include "programs/assayd/process/ipc.h"
#include "programs/assayd/scout/overlay_probe.h"

/* Which process to play, handed on to it. */
static const char which[] = "TEST_OVERLAY_PROBE";

static bool say(enum overlay_probe_message what)
{
	return ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = what }) == 0;
}

static int play_probe(void)
{
	const char *role = getenv(which);

	if (strcmp(role, "fails") == 0)
		return 1;
	if (!say(OVERLAY_PROBE_OPENS) || strcmp(role, "fails later") == 0)
		return 1;
	while (strcmp(role, "hangs") == 0)
		pause();
	return say(OVERLAY_PROBE_DONE) ? 0 : 1;
}

static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_OVERLAY_PROBE] = play_probe };

/* In place of the C library's: who hangs is waited for a moment, the others as long as it takes on
 * a busy machine. */
static int waited_ms[2], n_waits; /* as it was meant */

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	bool hangs = n_waits == 1 && strcmp(getenv(which), "hangs") == 0;

	if (n_waits < 2)
		waited_ms[n_waits++] = ms;
	return ppoll(fds, n, &(struct timespec){ .tv_sec = hangs ? 1 : 60 }, NULL);
}

static enum overlay_kind ask(const char *role)
{
	enum overlay_kind answer;
	struct spawner *s;

	setenv(which, role, 1);
	assert_int_equal(spawner_new(NULL, &s, NULL), 0);
	n_waits = 0;
	answer = overlay_probe(s);
	spawner_free(s);
	return answer;
}

static void only_one_that_hangs_shows_danger(void **state)
{
	assert_int_equal(ask("quick"), OVERLAY_QUIET);
	assert_in_range(waited_ms[1], 1000, 5000);
	assert_in_range(waited_ms[0], 2 * waited_ms[1], 60000); /* it may be slow to begin */
	assert_int_equal(ask("hangs"), OVERLAY_ASKS);
	assert_int_equal(ask("fails"), OVERLAY_UNKNOWN);
	assert_int_equal(ask("fails later"), OVERLAY_UNKNOWN);
}

/* ---- what it can do no more ----------------------------------------------------------------- */

static int enter(struct assay_err *err)
{
	(void)err;
	return overlay_probe_sandbox();
}

static int mount_something(void)
{
	return mount("none", "/nowhere", "tmpfs", 0, NULL) < 0 && errno == ENOENT ? 0 : -1;
}

static int make_group(void)
{
	return fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY) >= 0 ? 0 : -1;
}

static void only_opens_and_answers(void **state)
{
	static int (*const attempts[])(void) = { mount_something, make_group, open_to_write,
						 signal_parent,	  be_traced,  map_executable };

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_one_that_hangs_shows_danger),
		cmocka_unit_test(only_opens_and_answers),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
