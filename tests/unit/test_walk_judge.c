/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the walker hands over: files of filesystems that are wanted, by the descriptor; and of an
 * overlay only if root has mounted it. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/scout/walk_judge.h"

static void add(struct walk_judge *j, uint64_t dev, uint32_t flags)
{
	const struct walk_device d = { .dev = dev, .flags = flags };
	uint8_t space[WALK_DEVICE_SIZE];
	struct assay_wr w = assay_wr(space, sizeof(space));

	walk_device_write(&w, &d);
	assert_int_equal(walk_judge_add(j, assay_wr_done(&w)), 0);
}

static enum walk_verdict judge_path(struct walk_judge *j, const char *path, struct walk_found *ret)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	enum walk_verdict v;

	assert_true(fd >= 0);
	v = walk_judge_file(j, getpid(), fd, ret);
	close(fd);
	return v;
}

static enum walk_verdict judge_with(const char *path, uint64_t dev, uint32_t flags,
				    struct walk_found *ret)
{
	struct walk_judge j;
	enum walk_verdict v;

	walk_judge_init(&j);
	if (dev)
		add(&j, dev, flags);
	v = judge_path(&j, path, ret);
	walk_judge_done(&j);
	return v;
}

static void a_file_is_where_its_descriptor_says(void **state)
{
	char path[] = "walk_judge-XXXXXX";
	struct walk_found found = { 0 };
	int fd = mkstemp(path);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_int_equal(judge_with(path, st.st_dev, WALK_OPEN, &found), WALK_SAFE);
	assert_true(found.file.dev != 0 && found.file.ino == st.st_ino &&
		    found.st_dev == st.st_dev);
	assert_int_equal(judge_with(path, st.st_dev, WALK_LOOK, &found), WALK_LEAVE);
	assert_int_equal(judge_with(path, st.st_dev, 0, &found), WALK_LEAVE);
	assert_int_equal(judge_with(path, st.st_dev + 1000, WALK_OPEN, &found), WALK_DOUBT);
	assert_int_equal(judge_with(path, 0, 0, &found), WALK_DOUBT);
	unlink(path);
	close(fd);
}

static void what_is_no_file_is_left(void **state)
{
	struct walk_found found;
	struct stat st;

	assert_int_equal(stat("/dev", &st), 0);
	assert_int_equal(judge_with("/dev", st.st_dev, WALK_OPEN, &found), WALK_LEAVE);
}

static void devices_ascend(void **state)
{
	uint8_t space[3 * WALK_DEVICE_SIZE];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct walk_judge j;

	walk_judge_init(&j);
	add(&j, 7, WALK_OPEN);
	walk_device_write(&w, &(struct walk_device){ .dev = 7 });
	assert_int_equal(walk_judge_add(&j, assay_wr_done(&w)), -EBADMSG);
	w.len = 0;
	walk_device_write(&w, &(struct walk_device){ .dev = 9, .flags = WALK_LOOK });
	walk_device_write(&w, &(struct walk_device){ .dev = 8 });
	assert_int_equal(walk_judge_add(&j, assay_wr_done(&w)), -EBADMSG);
	assert_int_equal(walk_judge_flags(&j, 9), WALK_LOOK);
	assert_int_equal(walk_judge_add(&j, assay_bytes(space, 1)), -EBADMSG);
	w.len = 0;
	walk_device_write(&w, &(struct walk_device){ .dev = 10, .flags = 1u << 31 });
	assert_int_equal(walk_judge_add(&j, assay_wr_done(&w)), -EBADMSG);
	assert_int_equal(walk_judge_flags(&j, 7), WALK_OPEN);
	assert_int_equal(walk_judge_flags(&j, 11), 0);
	assert_int_equal(j.any, WALK_OPEN | WALK_LOOK);
	walk_judge_done(&j);
}

/* ---- an overlay that is mounted where the judge is, or elsewhere ---------------------------- */

/* @f returns 0, or 77: no mounts, or no overlays, here. */
static void with_own_mounts(int (*f)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? 77
											   : f());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool make_overlay(void)
{
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/tmp", "tmpfs", 0, NULL) == 0 && mkdir("/tmp/low", 0755) == 0 &&
	       mkdir("/tmp/empty", 0755) == 0 && mkdir("/tmp/over", 0755) == 0 &&
	       close(creat("/tmp/low/file", 0644)) == 0 &&
	       mount("none", "/tmp/over", "overlay", 0, "lowerdir=/tmp/low:/tmp/empty") == 0;
}

/* In a namespace that belongs to another user namespace than @j's. */
static int judge_overlay(void)
{
	struct walk_judge j;
	struct walk_found found;
	struct stat st;
	int failed = 0;

	if (!make_overlay() || stat("/tmp/over", &st) < 0)
		return 77;
	walk_judge_init(&j);
	add(&j, st.st_dev, WALK_OPEN | WALK_OVERLAY);
	failed |= judge_path(&j, "/tmp/over/file", &found) != WALK_SAFE;
	/* The number is known, and was another filesystem's. */
	j.device[0].flags = WALK_OPEN;
	failed |= (judge_path(&j, "/tmp/over/file", &found) != WALK_DOUBT) << 1;
	/* Mounted by a user, in his own namespace alone. */
	j.device[0].flags = WALK_OPEN | WALK_OVERLAY;
	mount_ids_refresh(&j.ours, getpid(), j.user_ns);
	j.user_ns++;
	for (size_t i = 0; i < j.ours.n; i++)
		j.ours.v[i].is_overlay = false;
	mount_ids_done(&j.theirs);
	failed |= (judge_path(&j, "/tmp/over/file", &found) != WALK_DOUBT) << 2;
	walk_judge_done(&j);
	return failed;
}

static void an_overlay_is_roots(void **state)
{
	with_own_mounts(judge_overlay);
}

/* ---- tables of mounts ----------------------------------------------------------------------- */

static int follow_mounts(void)
{
	struct mount_ids t = { 0 };
	struct stat user, st;
	size_t before;
	int failed = 0;

	if (stat("/proc/self/ns/user", &user) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	mount_ids_refresh(&t, getpid(), user.st_ino);
	before = t.n;
	failed |= before == 0 || !t.is_ours;
	if (mount("none", "/tmp", "tmpfs", 0, NULL) < 0 || stat("/tmp", &st) < 0)
		return 77;
	mount_ids_refresh(&t, getpid(), user.st_ino);
	failed |= (t.n != before + 1) << 1;
	for (size_t i = 1; i < t.n; i++)
		failed |= (mount_ids_find(&t, t.v[i].id) != &t.v[i]) << 2;
	umount("/tmp");
	mount_ids_refresh(&t, getpid(), user.st_ino);
	failed |= (t.n != before) << 3;
	mount_ids_refresh(&t, INT32_MAX, user.st_ino);
	failed |= (t.n != 0 || t.is_ours) << 4;
	mount_ids_done(&t);
	return failed;
}

static void a_table_is_what_it_is_now(void **state)
{
	with_own_mounts(follow_mounts);
}

/* A process of a user namespace below ours, in our mount namespace: its threads may be in others.
 */
static void who_has_left_our_users_is_not_ours(void **state)
{
	struct mount_ids t = { 0 };
	struct stat user;
	char has_left;
	int to_us[2];
	pid_t pid;

	assert_int_equal(stat("/proc/self/ns/user", &user), 0);
	assert_int_equal(pipe(to_us), 0);
	pid = fork();
	if (pid == 0) {
		has_left = unshare(CLONE_NEWUSER) == 0;
		while (write(to_us[1], &has_left, 1) == 1)
			pause();
	}
	assert_int_equal(read(to_us[0], &has_left, 1), 1);
	mount_ids_refresh(&t, pid, user.st_ino);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(to_us[0]);
	close(to_us[1]);
	assert_true(t.n > 0);
	assert_int_equal(t.is_ours, !has_left);
	mount_ids_done(&t);
	if (!has_left)
		skip(); /* no user namespaces here */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_where_its_descriptor_says),
		cmocka_unit_test(what_is_no_file_is_left),
		cmocka_unit_test(devices_ascend),
		cmocka_unit_test(an_overlay_is_roots),
		cmocka_unit_test(a_table_is_what_it_is_now),
		cmocka_unit_test(who_has_left_our_users_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
