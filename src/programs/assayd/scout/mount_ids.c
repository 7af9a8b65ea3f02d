/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/mount_ids.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/file.h"
#include "base/fmt.h"

#define TEXT_MAX (16u << 20)
#define IDS_MAX	 65536u /* the kernel's own limit is 100,000 a namespace */

static int compare(const void *a, const void *b)
{
	const struct mount_id *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static size_t count_lines(struct assay_bytes text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.data[i] == '\n';
	return n < IDS_MAX ? n : IDS_MAX;
}

static void parse(struct mount_ids *t, struct assay_bytes text)
{
	size_t max = count_lines(text);
	struct assay_mount *mount = malloc(sizeof(*mount));
	unsigned skipped = 0;

	t->v = calloc(max, sizeof(*t->v));
	while (t->v && mount && t->n < max && assay_mountinfo_next(&text, mount, &skipped))
		t->v[t->n++] =
			(struct mount_id){ .id = (uint64_t)mount->id,
					   .dev = mount->dev,
					   .is_overlay = assay_mount_is_overlay(mount->type) };
	free(mount);
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), compare);
}

/* Asked behind the table. An exec by another thread puts that one's mount namespace in the place of
 * the leader's; but who is in our user namespace has never been in a mount namespace of a user's,
 * and all threads are in one. */
static bool belongs_to(int process, uint64_t user_ns)
{
	AUTO(fd) int ns = openat(process, "ns/mnt", O_RDONLY | O_CLOEXEC);
	AUTO(fd) int owner = ns < 0 ? -1 : ioctl(ns, NS_GET_USERNS);
	struct stat of_mounts, own;

	return owner >= 0 && fstat(owner, &of_mounts) == 0 && of_mounts.st_ino == user_ns &&
	       fstatat(process, "ns/user", &own, 0) == 0 && own.st_ino == user_ns;
}

/* What changes behind its open is told by poll(). */
static bool is_new(const struct mount_ids *t, pid_t pid)
{
	struct pollfd p = { .fd = t->fd, .events = POLLPRI };

	return t->pid == pid && poll(&p, 1, 0) == 0;
}

static void read_table(struct mount_ids *t, uint64_t user_ns)
{
	AUTO(file) struct assay_file text = { 0 };
	AUTO(fd) int process = -1;
	char path[64];

	assay_fmt(path, sizeof(path), "/proc/%d", (int)t->pid);
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->fd = process < 0 ? -1 : openat(process, "mountinfo", O_RDONLY | O_CLOEXEC);
	if (t->fd < 0 || assay_file_read_fd(t->fd, path, TEXT_MAX, &text, NULL) < 0)
		return;
	parse(t, text.bytes);
	t->is_ours = belongs_to(process, user_ns);
}

void mount_ids_refresh(struct mount_ids *t, pid_t pid, uint64_t user_ns)
{
	if (is_new(t, pid))
		return;
	mount_ids_done(t);
	t->pid = pid;
	read_table(t, user_ns);
	if (t->n == 0)
		mount_ids_done(t);
}

void mount_ids_done(struct mount_ids *t)
{
	if (t->pid && t->fd >= 0)
		close(t->fd);
	free(t->v);
	*t = (struct mount_ids){ 0 };
}

const struct mount_id *mount_ids_find(const struct mount_ids *t, uint64_t id)
{
	const struct mount_id key = { .id = id };

	return t->n == 0 ? NULL : bsearch(&key, t->v, t->n, sizeof(key), compare);
}

bool mount_ids_have_overlay(const struct mount_ids *t, uint64_t dev)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].is_overlay && t->v[i].dev == dev)
			return true;
	return false;
}
