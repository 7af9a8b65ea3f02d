/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/clock.h"
#include "base/num.h"
#include "programs/assayd/process/threads.h"

#define TRIES	 8u
#define TEXT_MAX (64u << 20)

/* ---- whether the task is the same ----------------------------------------------------------- */

/* Processor time, in nanoseconds: of a task, whoever's number it has. */
static uint64_t has_run(const struct mount_table_task *task)
{
	AUTO(file) struct assay_file text = { 0 };
	const uint8_t *end;
	uint64_t ns;

	if (assay_file_read(task->dir, "schedstat", 256, &text, NULL) < 0)
		return 0;
	end = memchr(text.bytes.data, ' ', text.bytes.len);
	if (!end || assay_num_parse(assay_bytes(text.bytes.data, (size_t)(end - text.bytes.data)),
				    10, UINT64_MAX, &ns) < 0)
		return 0;
	return ns;
}

/* Whoever was alone can be replaced only by a thread that was made since, which has not run longer
 * than the time that has passed. */
static bool is_same(const struct mount_table *t, const struct mount_table_task *task)
{
	uint64_t ran = has_run(task), passed = assay_clock_ns() - t->began;

	return t->ran > 2 * passed && ran >= t->ran;
}

static bool is_in(const struct mount_table_task *task, uint64_t user_ns)
{
	struct stat st;

	return fstatat(task->dir, "ns/user", &st, 0) == 0 && st.st_ino == user_ns;
}

/*
 * Into a mount namespace of ours nobody comes who is in a user namespace below. So one task that
 * was there before and is there behind was there all the time. Who is in our own user namespace has
 * never been in a mount namespace of a user's, and all threads of a process are in one. The number
 * of a thread that does not lead is never another's that lives.
 */
static bool has_stayed(const struct mount_table *t, const struct mount_table_task *task,
		       uint64_t user_ns)
{
	return !task->leads || is_in(task, user_ns) || is_same(t, task);
}

/* ---- to open it ----------------------------------------------------------------------------- */

int mount_table_begin(struct mount_table *t, const struct mount_table_task *task)
{
	struct stat st;

	*t = (struct mount_table){ .fd = -1, .began = assay_clock_ns() };
	if (task->leads && threads_count(task->dir, "task") == 1)
		t->ran = has_run(task);
	if (fstatat(task->dir, "ns/mnt", &st, 0) < 0)
		return -errno;
	t->ns = st.st_ino;
	return 0;
}

int mount_table_pin(struct mount_table *t, const struct mount_table_task *task)
{
	t->fd = openat(task->dir, "mountinfo", O_RDONLY | O_CLOEXEC);
	return t->fd < 0 ? -errno : 0;
}

int mount_table_end(struct mount_table *t, const struct mount_table_task *task, uint64_t user_ns)
{
	AUTO(fd) int ns = openat(task->dir, "ns/mnt", O_RDONLY | O_CLOEXEC);
	AUTO(fd) int owner = ns < 0 ? -1 : ioctl(ns, NS_GET_USERNS);
	struct stat st;

	if (ns < 0 || fstat(ns, &st) < 0 || st.st_ino != t->ns)
		return -ESRCH;
	t->is_ours = owner >= 0 && fstat(owner, &st) == 0 && st.st_ino == user_ns;
	t->is_sure = !t->is_ours || has_stayed(t, task, user_ns);
	return 0;
}

static int try_open(struct mount_table *t, const struct mount_table_task *task, uint64_t user_ns)
{
	int r = mount_table_begin(t, task);

	if (r == 0)
		r = mount_table_pin(t, task);
	if (r == 0)
		r = mount_table_end(t, task, user_ns);
	return r < 0 ? -ESRCH : 0;
}

int mount_table_open(struct mount_table *t, const struct mount_table_task *task, uint64_t user_ns)
{
	int r = try_open(t, task, user_ns);

	/* Who looks may have lost the processor in between. */
	for (unsigned i = 1; i < TRIES && (r < 0 || (!t->is_sure && t->ran > 0)); i++) {
		assay_auto_mount_table(t);
		r = try_open(t, task, user_ns);
	}
	if (r < 0) {
		assay_auto_mount_table(t);
		t->fd = -1;
	}
	return r;
}

/* ---- what it says --------------------------------------------------------------------------- */

int mount_table_read(const struct mount_table *t, size_t max, struct assay_file *ret)
{
	if (lseek(t->fd, 0, SEEK_SET) < 0)
		return -errno;
	return assay_file_read_fd(t->fd, "mountinfo", max, ret, NULL);
}

static bool finds_overlay(struct assay_bytes text, uint32_t id)
{
	static struct assay_mount mount;
	unsigned skipped = 0;

	while (assay_mountinfo_next(&text, &mount, &skipped))
		if ((uint32_t)mount.id == id)
			return assay_mount_is_overlay(mount.type);
	return false;
}

/* What changes behind the open, or the last question, is told by poll(). */
bool mount_table_has_overlay(const struct mount_table *t, struct assay_bytes text, uint32_t id)
{
	AUTO(file) struct assay_file now = { 0 };
	struct pollfd p = { .fd = t->fd, .events = POLLPRI };

	if (poll(&p, 1, 0) == 0)
		return finds_overlay(text, id);
	return mount_table_read(t, TEXT_MAX, &now) == 0 && finds_overlay(now.bytes, id);
}
