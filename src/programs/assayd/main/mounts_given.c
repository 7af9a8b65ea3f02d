/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mount=: these and no others are watched, and they must be there. */
#include "programs/assayd/main/mounts_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/source_fanotify/mount_open.h"
#include "base/file.h"
#include "programs/assayd/process/log.h"

#define PLACE(i) (UINT64_MAX - (i)) /* for the usher: no mount has such an id */

/* What was mounted there is unmounted: the path is of a filesystem that nobody has named, or of
 * somebody who is not asked (no @fd). */
static bool is_gone(struct mounts *m, uint32_t i, int fd, const struct stat *st)
{
	struct given *g = &m->given[i];
	struct statx more;
	bool was_gone = g->gone;

	g->gone = g->dev && g->dev != st->st_dev &&
		  (statx(fd, "", AT_EMPTY_PATH, STATX_INO, &more) < 0 ||
		   !(more.stx_attributes & STATX_ATTR_MOUNT_ROOT));
	if (!g->gone)
		g->dev = st->st_dev;
	else if (!was_gone)
		log_line(LOG_WARNING, "not watched: nothing is mounted at '%s' any more",
			 m->daemon->conf.mount.value[i]);
	return g->gone;
}

static int judge_type(const struct mounts *m, const struct assay_mount *mount)
{
	if (strcmp(mount->type, "autofs") == 0)
		return -EREMOTE;
	if (assay_mount_is_remote(mount->type))
		return -EREMOTEIO;
	return assay_mount_is_overlay(mount->type) && layers_may_wait(&m->layers, mount->dev)
		       ? -EMULTIHOP
		       : 0;
}

/* By the words of the table: to come to the root of an NFS mount is to ask the server. */
static int judge_words(const struct mounts *m, const char *path)
{
	struct assay_bytes rest = m->mountinfo;
	struct assay_mount mount;
	unsigned skipped = 0;
	int r = 0;

	while (assay_mountinfo_next(&rest, &mount, &skipped))
		if (strcmp(mount.point, path) == 0)
			r = judge_type(m, &mount); /* the last one is on top */
	return r;
}

/* For reading; nobody is asked before it is known who answers. In a chroot the table may not have
 * what it is on: then who can be killed asks for the type. */
static int open_given(struct mounts *m, uint32_t i)
{
	const char *path = m->daemon->conf.mount.value[i];
	AUTO(fd) int fd = -1;
	AUTO(fd) int judged = -1;
	struct assay_mount mount;
	int r = judge_words(m, path);

	if (r == 0)
		r = fd = mounts_open_way(m, PLACE(i), path);
	if (r >= 0)
		r = assay_mount_find(fd, m->mountinfo, &mount);
	if (r == 0)
		r = judge_type(m, &mount);
	else if (r == -ENOENT && fd >= 0)
		r = judged = usher_open(m->usher, PLACE(i), path);
	return r < 0 ? r : assay_mount_open_again(judged < 0 ? fd : judged);
}

int mounts_scan_given(struct mounts *m, struct assay_err *err)
{
	const struct assay_conf_strings *given = &m->daemon->conf.mount;

	for (uint32_t i = 0; i < given->n; i++) {
		const char *point = given->value[i];
		AUTO(fd) int fd = open_given(m, i);
		struct stat st = { 0 };
		struct assay_fs fs;
		struct filesystem f;

		/* What is marked stays so, by who was here before, too. */
		if (fd == -ETIMEDOUT && (m->given[i].dev || m->daemon->takeover)) {
			log_line(LOG_WARNING, "cannot look at '%s': %s", point,
				 mounts_why_shut(ETIMEDOUT));
			continue;
		}
		if ((fd == -EREMOTE || fd == -EREMOTEIO) && is_gone(m, i, fd, &st))
			continue;
		if (fd < 0 || fstat(fd, &st) < 0 ||
		    assay_fs_table_get(m->daemon->fs, fd, &st, &fs) < 0)
			return assay_err_set(err, -EINVAL, "cannot watch '%s': %s", point,
					     mounts_why_shut(fd < 0 ? -fd : errno));
		if (is_gone(m, i, fd, &st))
			continue;
		mounts_begin(m, st.st_dev, point, fs.name, &f);
		f.ours = true;
		if (f.remote)
			mounts_set_uncovered(&f, mounts_why_shut(EREMOTEIO));
		else
			mounts_mark(m, &f, fd, &st);
		mounts_keep(m, &f);
		if (f.what.reason[0])
			return assay_err_set(err, -EINVAL, "cannot watch '%s': %s", point,
					     f.what.reason);
	}
	return 0;
}

int mounts_note_remote(struct mounts *m, struct assay_err *err)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	struct assay_bytes rest = m->mountinfo;
	unsigned skipped = 0;
	struct filesystem f;

	if (!mount)
		return assay_err_set(err, -ENOMEM, "out of memory");
	while (assay_mountinfo_next(&rest, mount, &skipped)) {
		if (!assay_mount_is_remote(mount->type))
			continue;
		mounts_begin_here(m, mount, &f);
		mounts_keep(m, &f);
	}
	free(mount);
	return 0;
}
