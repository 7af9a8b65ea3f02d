/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/object.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/fsuuid.h"
#include "base/macros.h"

#define DELETED	      " (deleted)"
#define KEPT_MAX      64u
#define MOUNTINFO_MAX (64u << 20)

struct assay_fs_table {
	pthread_mutex_t lock;
	size_t n, next; /* the oldest goes first */
	struct assay_fs kept[KEPT_MAX];
};

/* ---- path ----------------------------------------------------------------------------------- */

/* A file can be called so: then its whole name leads to it. Only where the kernel knows the way by
 * heart: by now a server that never answers may stand there. */
static bool is_really_named(const char *path, const struct stat *st)
{
	const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
				      .resolve = RESOLVE_CACHED | RESOLVE_NO_SYMLINKS };
	struct stat there;
	AUTO(fd) int fd = -1;

	if (st->st_nlink == 0)
		return false;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	return fd >= 0 && fstat(fd, &there) == 0 && there.st_dev == st->st_dev &&
	       there.st_ino == st->st_ino;
}

int assay_object_path(int fd, const struct stat *st, char ret[static ASSAY_OBJECT_PATH_MAX])
{
	const size_t tail = sizeof(DELETED) - 1;
	char link[32];
	ssize_t n;

	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, ASSAY_OBJECT_PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	if ((size_t)n > tail && strcmp(ret + (size_t)n - tail, DELETED) == 0 &&
	    !is_really_named(ret, st))
		n -= (ssize_t)tail;
	ret[n] = '\0';
	return (int)n;
}

/* ---- filesystem ----------------------------------------------------------------------------- */

/* For a device number that no mount of ours shows (a btrfs subvolume, another namespace). */
static const char *name_of_magic(uint64_t magic)
{
	static const struct {
		uint64_t magic;
		const char *name;
	} known[] = {
		{ EXT4_SUPER_MAGIC, "ext4" },
		{ XFS_SUPER_MAGIC, "xfs" },
		{ BTRFS_SUPER_MAGIC, "btrfs" },
		{ TMPFS_MAGIC, "tmpfs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" },
		{ SQUASHFS_MAGIC, "squashfs" },
		{ F2FS_SUPER_MAGIC, "f2fs" },
		{ MSDOS_SUPER_MAGIC, "vfat" },
		{ ISOFS_SUPER_MAGIC, "iso9660" },
		{ EROFS_SUPER_MAGIC_V1, "erofs" },
		{ RAMFS_MAGIC, "ramfs" },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].magic == magic)
			return known[i].name;
	return "";
}

static void find_name(struct assay_fs *fs)
{
	struct assay_file text = { 0 };
	struct assay_bytes rest;
	struct assay_mount mount;
	unsigned skipped = 0;

	assay_fmt(fs->name, sizeof(fs->name), "%s", name_of_magic(fs->magic));
	if (assay_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL) < 0)
		return;
	for (rest = text.bytes; assay_mountinfo_next(&rest, &mount, &skipped);) {
		if (mount.dev != fs->dev)
			continue;
		memcpy(fs->name, mount.type, sizeof(fs->name));
		memcpy(fs->subtype, mount.subtype, sizeof(fs->subtype));
		break;
	}
	assay_file_free(&text);
}

int assay_fs_table_new(struct assay_fs_table **ret)
{
	struct assay_fs_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void assay_fs_table_free(struct assay_fs_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool find_kept(struct assay_fs_table *t, struct assay_fs *fs)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct assay_fs *k = &t->kept[i];

		if (k->dev != fs->dev || k->magic != fs->magic || k->id != fs->id)
			continue;
		*fs = *k;
		return true;
	}
	return false;
}

int assay_fs_table_get(struct assay_fs_table *t, int fd, const struct stat *st,
		       struct assay_fs *ret)
{
	struct assay_fs fs = { .dev = st->st_dev };
	struct statfs s;
	bool found;

	if (fstatfs(fd, &s) < 0)
		return -errno;
	fs.magic = (uint64_t)s.f_type;
	memcpy(&fs.id, &s.f_fsid, sizeof(fs.id));
	pthread_mutex_lock(&t->lock);
	found = find_kept(t, &fs);
	pthread_mutex_unlock(&t->lock);
	if (!found) {
		find_name(&fs);
		(void)assay_fsuuid_read(fd, fs.dev, fs.uuid);
		pthread_mutex_lock(&t->lock);
		t->kept[t->next] = fs;
		t->next = (t->next + 1) % KEPT_MAX;
		t->n += t->n < KEPT_MAX;
		pthread_mutex_unlock(&t->lock);
	}
	*ret = fs;
	return 0;
}

void assay_fs_table_clear(struct assay_fs_table *t)
{
	pthread_mutex_lock(&t->lock);
	t->n = t->next = 0;
	pthread_mutex_unlock(&t->lock);
}

struct assay_fs_facts assay_fs_facts(const struct assay_fs *fs)
{
	struct assay_fs_facts facts = {
		.magic = fs->magic,
		.name = assay_bytes_str(fs->name),
		.subtype = assay_bytes_str(fs->subtype),
	};

	memcpy(facts.uuid, fs->uuid, sizeof(facts.uuid));
	return facts;
}
