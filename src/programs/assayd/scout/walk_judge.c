/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/walk_judge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/source_fanotify/mountinfo.h"

#define DEVICES_MAX 65536u

void walk_judge_init(struct walk_judge *j)
{
	struct stat st;

	*j = (struct walk_judge){ .user_ns = stat("/proc/self/ns/user", &st) == 0 ? st.st_ino : 0 };
}

void walk_judge_done(struct walk_judge *j)
{
	mount_ids_done(&j->ours);
	mount_ids_done(&j->theirs);
	free(j->device);
	*j = (struct walk_judge){ 0 };
}

int walk_judge_add(struct walk_judge *j, struct assay_bytes body)
{
	size_t n = j->n + body.len / WALK_DEVICE_SIZE;
	struct walk_device *v = n > DEVICES_MAX ? NULL : realloc(j->device, (n + 1) * sizeof(*v));
	struct assay_rd in = assay_rd(body);

	if (!v)
		return -ENOMEM;
	j->device = v;
	while (j->n < n) {
		if (!walk_device_read(&in, &v[j->n]) || (j->n && v[j->n].dev <= v[j->n - 1].dev))
			return -EBADMSG;
		j->any |= v[j->n++].flags;
	}
	return assay_rd_end(&in) ? 0 : -EBADMSG;
}

static int compare(const void *a, const void *b)
{
	const struct walk_device *x = a, *y = b;

	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static const struct walk_device *find(const struct walk_judge *j, uint64_t dev)
{
	const struct walk_device key = { .dev = dev };

	return j->n == 0 ? NULL : bsearch(&key, j->device, j->n, sizeof(key), compare);
}

bool walk_judge_knows(const struct walk_judge *j, uint64_t dev)
{
	return find(j, dev) != NULL;
}

uint32_t walk_judge_flags(const struct walk_judge *j, uint64_t dev)
{
	const struct walk_device *d = find(j, dev);

	return d ? d->flags : 0;
}

/* Who has left a mount namespace, or is in a chroot, has files of mounts that he does not see. */
static const struct mount_id *mount_of(struct walk_judge *j, pid_t pid, const struct statx *st,
				       bool *ret_is_theirs)
{
	const struct mount_id *m;

	mount_ids_refresh(&j->theirs, pid, j->user_ns);
	mount_ids_refresh(&j->ours, getpid(), j->user_ns);
	if (!(st->stx_mask & STATX_MNT_ID))
		return NULL;
	m = mount_ids_find(&j->theirs, st->stx_mnt_id);
	*ret_is_theirs = m != NULL;
	return m ? m : mount_ids_find(&j->ours, st->stx_mnt_id);
}

static uint64_t device_of(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

/* Local: whoever mounted it, nobody answers for it. btrfs makes a number for each subvolume, which
 * no mount shows. */
static const struct walk_device *find_local(struct walk_judge *j, pid_t pid, const struct statx *st)
{
	const struct walk_device *d = find(j, device_of(st));
	const struct mount_id *m;
	bool is_theirs;

	if (d)
		return d;
	m = mount_of(j, pid, st, &is_theirs);
	return m ? find(j, m->dev) : NULL;
}

/* Root's only: it is mounted where he alone mounts, now that its number cannot be another's. One
 * whose files have numbers of its layers is told by its mount. */
static const struct walk_device *find_overlay(struct walk_judge *j, pid_t pid,
					      const struct statx *st)
{
	bool is_theirs = false, is_roots;
	const struct mount_id *m = mount_of(j, pid, st, &is_theirs);
	const struct walk_device *d = find(j, m ? m->dev : device_of(st));

	if (!d || !(d->flags & WALK_OVERLAY) || (m && !m->is_overlay))
		return NULL;
	is_roots = mount_ids_have_overlay(&j->ours, d->dev) || (is_theirs && j->theirs.is_ours);
	return is_roots || !(d->flags & WALK_OPEN) ? d : NULL;
}

enum walk_verdict walk_judge_file(struct walk_judge *j, pid_t pid, int fd, struct walk_found *ret)
{
	const struct walk_device *d;
	struct statfs fs;
	struct statx st;

	if (fstatfs(fd, &fs) < 0)
		return WALK_DOUBT;
	if (assay_magic_is_remote((uint64_t)fs.f_type))
		return WALK_REMOTE;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID,
		  &st) < 0)
		return WALK_DOUBT;
	if (!S_ISREG(st.stx_mode))
		return WALK_LEAVE;
	d = fs.f_type == OVERLAYFS_SUPER_MAGIC ? find_overlay(j, pid, &st)
					       : find_local(j, pid, &st);
	if (!d)
		return WALK_DOUBT;
	if (!(d->flags & WALK_OPEN))
		return WALK_LEAVE;
	*ret = (struct walk_found){
		.file = { .dev = d->dev, .ino = st.stx_ino },
		.st_dev = device_of(&st),
	};
	return WALK_SAFE;
}
