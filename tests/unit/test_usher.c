/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who walks to mount points, which this program plays: how long it is waited for, what is believed,
 * and when it is asked again. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/wr.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/usher/usher.h"

#define SECOND 1000000000ull

static bool fail_with(uint64_t id, int error)
{
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = USHER_FAILED, .id = id };

	assay_wr_u32(&w, (uint32_t)error);
	m.body = assay_wr_done(&w);
	return ipc_send(CHILD_SOCKET, &m) == 0;
}

/* What it does is the path's name. */
static bool play(const char *path, uint64_t id)
{
	struct ipc_message m = { .type = USHER_OPENED, .id = id, .n_fds = 1 };

	while (strcmp(path, "/hangs") == 0)
		pause();
	if (strcmp(path, "/ends") == 0)
		return false;
	if (strcmp(path, "/fails") == 0)
		return fail_with(id, ENOENT);
	if (strcmp(path, "/fails without reason") == 0)
		return fail_with(id, 0);
	m.fd[0] = open("/", strcmp(path, "/for reading") == 0 ? O_RDONLY : O_PATH);
	if (strcmp(path, "/nothing") == 0)
		m.n_fds = 0;
	if (strcmp(path, "/another") == 0)
		m.id++;
	if (strcmp(path, "/unknown") == 0)
		m.type = 99;
	return ipc_send(CHILD_SOCKET, &m) == 0;
}

static int play_usher(void)
{
	struct ipc_message m = { .type = USHER_READY };
	struct ipc_buffer buffer;
	char path[64];

	if (ipc_send(CHILD_SOCKET, &m) < 0)
		return 1;
	while (ipc_receive(CHILD_SOCKET, &buffer, &m) == 0) {
		if (m.type != USHER_OPEN || m.body.len >= sizeof(path))
			return 1;
		memcpy(path, m.body.data, m.body.len);
		path[m.body.len] = '\0';
		if (!play(path, m.id))
			return 1;
	}
	return 0;
}

static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_USHER] = play_usher };

static struct spawner *spawner;
static struct usher *usher;

static int begin(void **state)
{
	struct usher_ops ops = { 0 };

	assert_int_equal(spawner_new(NULL, &spawner, NULL), 0);
	ops.spawner = spawner;
	assert_int_equal(usher_new(&ops, &usher), 0);
	usher_begin(usher, SECOND);
	return 0;
}

static int end(void **state)
{
	usher_free(usher);
	spawner_free(spawner);
	return 0;
}

/* How many were started. */
static uint32_t count_started(void)
{
	struct spawner_child child[SPAWNER_CHILDREN_MAX];
	uint32_t ended[CHILD_ROLE_COUNT];
	size_t n = spawner_list(spawner, child, ARRAY_LEN(child), ended);

	return (uint32_t)n + ended[CHILD_USHER];
}

static void need_open(uint64_t place)
{
	AUTO(fd) int fd = usher_open(usher, place, "/here");
	struct stat is, root;

	assert_true(fd >= 0 && fstat(fd, &is) == 0 && stat("/", &root) == 0);
	assert_true(is.st_dev == root.st_dev && is.st_ino == root.st_ino);
}

static void one_opens_all(void **state)
{
	for (uint64_t i = 0; i < 20; i++)
		need_open(i);
	assert_int_equal(usher_open(usher, 20, "/fails"), -ENOENT);
	assert_int_equal(count_started(), 1);
	assert_false(usher_is_due(usher, UINT64_MAX));
}

static void who_hangs_is_left_out_for_a_minute(void **state)
{
	uint64_t began = assay_clock_ms();

	assert_int_equal(usher_open(usher, 1, "/hangs"), -ETIMEDOUT);
	assert_true(assay_clock_ms() - began >= USHER_FIRST_MS);
	need_open(2);
	assert_int_equal(usher_open(usher, 1, "/here"), -ETIMEDOUT);
	assert_int_equal(count_started(), 2);
	usher_end(usher);
	assert_false(usher_is_due(usher, SECOND + USHER_AGAIN_NS - 1));
	usher_begin(usher, SECOND + USHER_AGAIN_NS - 1); /* mounts have changed */
	assert_int_equal(usher_open(usher, 1, "/here"), -ETIMEDOUT);
	usher_end(usher);
	assert_int_equal(count_started(), 2);
	assert_true(usher_is_due(usher, SECOND + USHER_AGAIN_NS));
	usher_begin(usher, SECOND + USHER_AGAIN_NS);
	need_open(1);
	usher_end(usher);
	assert_false(usher_is_due(usher, UINT64_MAX));
}

/* So many hang that there is no time for all: those come in the next looks. */
static void a_look_comes_to_its_end(void **state)
{
	uint32_t first;

	for (uint64_t i = 0; i < 40; i++)
		assert_int_equal(usher_open(usher, i, "/hangs"), -ETIMEDOUT);
	usher_end(usher);
	first = count_started();
	assert_in_range(first, 2, 1 + (USHER_LOOK_MS - USHER_FIRST_MS) / USHER_NEXT_MS);
	assert_false(usher_is_due(usher, SECOND + USHER_SOON_NS - 1));
	assert_true(usher_is_due(usher, SECOND + USHER_SOON_NS));
	usher_begin(usher, SECOND + USHER_SOON_NS);
	for (uint64_t i = 0; i < 40; i++) {
		if (i < first)
			assert_int_equal(usher_open(usher, i, "/here"), -ETIMEDOUT);
		else
			need_open(i);
	}
	usher_end(usher);
	assert_false(usher_is_due(usher, SECOND + USHER_AGAIN_NS - 1));
}

static void what_is_not_mounted_any_more_is_forgotten(void **state)
{
	assert_int_equal(usher_open(usher, 1, "/hangs"), -ETIMEDOUT);
	usher_end(usher);
	assert_true(usher_is_due(usher, SECOND + USHER_AGAIN_NS));
	usher_begin(usher, 2 * SECOND);
	usher_end(usher);
	assert_false(usher_is_due(usher, UINT64_MAX));
}

static void who_lies_is_replaced(void **state)
{
	static const char *const lies[] = { "/ends",	    "/fails without reason",
					    "/for reading", "/nothing",
					    "/another",	    "/unknown" };

	for (uint32_t i = 0; i < ARRAY_LEN(lies); i++) {
		assert_int_equal(usher_open(usher, i, lies[i]), -ETIMEDOUT);
		assert_int_equal(count_started(), i + 1);
	}
	need_open(100);
}

/* ---- what it can do no more ----------------------------------------------------------------- */

static int enter(struct assay_err *err)
{
	(void)err;
	return usher_sandbox();
}

static int mount_something(void)
{
	return mount("none", "/nowhere", "tmpfs", 0, NULL) < 0 && errno == ENOENT ? 0 : -1;
}

static void only_opens(void **state)
{
	static int (*const attempts[])(void) = { mount_something, open_to_write, signal_parent,
						 be_traced, map_executable };

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_opens_all, begin, end),
		cmocka_unit_test_setup_teardown(who_hangs_is_left_out_for_a_minute, begin, end),
		cmocka_unit_test_setup_teardown(a_look_comes_to_its_end, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_mounted_any_more_is_forgotten, begin,
						end),
		cmocka_unit_test_setup_teardown(who_lies_is_replaced, begin, end),
		cmocka_unit_test(only_opens),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
