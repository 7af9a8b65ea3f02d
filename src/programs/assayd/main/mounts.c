/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/mounts_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/source_fanotify/mount_open.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/main/uncovered.h"
#include "programs/assayd/view/view_link.h"

#define MOUNTINFO_MAX	    (64u << 20)
#define OVERLAY_RETRY_NS    60000000000ull
#define PASSES_BEFORE_LAYER 2u /* see layers_elsewhere_may_wait() */

static const char waits[] = "another process or machine may answer for one of its layers";
static const char answered[] = "another process or machine answers for it";

int mounts_new(struct daemon *d, struct mounts **ret, struct assay_err *err)
{
	const struct usher_ops ops = {
		.spawner = d->spawner, .admit = daemon_admit, .dismiss = daemon_dismiss, .ctx = d
	};
	struct mounts *m = calloc(1, sizeof(*m));

	if (!m || usher_new(&ops, &m->usher) < 0) {
		free(m);
		return assay_err_set(err, -ENOMEM, "out of memory");
	}
	m->daemon = d;
	m->pass = 1;
	pthread_mutex_init(&m->lock, NULL);
	/* Now, while nothing is marked and nobody has to wait for us. */
	if (d->conf.mount.n != 1 && overlay_is_known())
		m->overlay = overlay_probe(d->spawner);
	m->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	*ret = m;
	if (m->fd < 0)
		return assay_err_set(err, -errno, "cannot open '/proc/self/mountinfo': %s",
				     strerror(errno));
	return 0;
}

void mounts_free(struct mounts *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	pthread_mutex_destroy(&m->lock);
	filesystems_drop_all(&m->known);
	usher_free(m->usher);
	free(m);
}

int mounts_fd(const struct mounts *m)
{
	return m->fd;
}

bool mounts_are_due(const struct mounts *m)
{
	return usher_is_due(m->usher, assay_clock_ns());
}

void mounts_record_counts(struct mounts *m, bool all)
{
	uncovered_record_counts(&m->tally, m->daemon, all);
}

/* ---- what is known of them ------------------------------------------------------------------ */

void mounts_set_uncovered(struct filesystem *f, const char *reason)
{
	assay_fmt(f->what.reason, sizeof(f->what.reason), "%s", reason);
}

static bool is_overlay(const struct filesystem *f)
{
	return assay_mount_is_overlay(f->what.type);
}

void mounts_keep(struct mounts *m, struct filesystem *f)
{
	const struct filesystem *before = filesystems_find(&m->known, f->dev);
	bool is_same = before && strcmp(before->what.type, f->what.type) == 0;
	bool was_told = is_same && strcmp(before->what.reason, f->what.reason) == 0;
	bool was_watched = is_same && (before->bits || before->layered), fits;

	if (was_told && f->what.reason[0])
		f->what = before->what; /* the mount that was told */
	pthread_mutex_lock(&m->lock);
	fits = filesystems_set(&m->known, f);
	pthread_mutex_unlock(&m->lock);
	if (!fits)
		*(f->elsewhere ? &m->untold_there : &m->untold_here) = true;
	else if (f->what.reason[0] && !was_told)
		uncovered_tell(&m->tally, m->daemon, &f->what);
	else if (f->bits && !was_watched)
		log_line(LOG_INFO, "watching %s (%s)", f->what.point, f->what.type);
	if (fits && !was_watched && (f->bits || f->layered))
		late_want(m->daemon->late, f->dev, f->bits && is_overlay(f));
}

static void drop(struct mounts *m, bool (*goes)(void *ctx, const struct filesystem *f))
{
	pthread_mutex_lock(&m->lock);
	filesystems_drop(&m->known, goes, m);
	pthread_mutex_unlock(&m->lock);
}

static bool is_untold(void *ctx, const struct filesystem *f)
{
	(void)ctx;
	return f->dev == FILESYSTEMS_UNTOLD;
}

/* After a scan, and after a pass. */
static void keep_untold(struct mounts *m)
{
	struct filesystem f = { .dev = FILESYSTEMS_UNTOLD, .ours = true };

	if (!m->untold_here && !m->untold_before) {
		drop(m, is_untold);
		return;
	}
	assay_fmt(f.what.point, sizeof(f.what.point), "-");
	assay_fmt(f.what.type, sizeof(f.what.type), "unknown");
	mounts_set_uncovered(&f, "there are more filesystems than can be told apart");
	mounts_keep(m, &f);
}

/* ---- overlays ------------------------------------------------------------------------------- */

/* An overlay stays what it was: a layer is there when its own mount is gone. */
static bool is_over_remote(const struct filesystem *f)
{
	return f && strcmp(f->what.reason, waits) == 0;
}

/* Who opens a file there may wait for others, also through an overlay: who mounts that is root,
 * whom FUSE filesystems of users do not let in. */
static bool may_wait_in(void *ctx, const struct assay_mount *mount)
{
	const struct mounts *m = ctx;

	if (assay_mount_is_overlay(mount->type))
		return is_over_remote(filesystems_find(&m->known, mount->dev));
	return assay_mount_is_remote(mount->type) &&
	       (m->root_enters || assay_mount_admits_root(mount)) &&
	       !view_link_owns(m->daemon->view, mount->type, mount->subtype, mount->point);
}

/*
 * The layers of what is mounted elsewhere are not named in words that mean anything here, so that
 * any filesystem that can be a layer may be one. All that were there when the overlay was found are
 * known when the pass behind that is over.
 */
static bool layers_elsewhere_may_wait(const struct mounts *m, struct filesystem *f)
{
	const struct filesystem *other = NULL;

	while ((other = filesystems_next(&m->known, other)))
		if (other->layer || is_over_remote(other))
			return true;
	f->undecided = m->pass - f->since < PASSES_BEFORE_LAYER;
	return false;
}

/* To read an overlay's event is to open the layer's file, in read(): the reader would wait for
 * whoever answers for that. */
static bool overlay_may_wait(const struct mounts *m, struct filesystem *f)
{
	const struct filesystem *before = filesystems_find(&m->known, f->dev);

	if (is_over_remote(before))
		return true;
	return f->elsewhere ? layers_elsewhere_may_wait(m, f) : layers_may_wait(&m->layers, f->dev);
}

/* Why an overlay must not be watched (overlay_probe.h), or NULL. A single mount= is no other's
 * layer. */
static const char *overlay_refused(struct mounts *m, struct filesystem *f)
{
	if (overlay_may_wait(m, f))
		return waits;
	if (m->daemon->conf.mount.n == 1)
		return NULL;
	if (m->overlay == OVERLAY_UNKNOWN && assay_clock_ns() >= m->overlay_next_ns) {
		m->overlay = overlay_probe(m->daemon->spawner);
		m->overlay_next_ns = assay_clock_ns() + OVERLAY_RETRY_NS;
	}
	if (m->overlay == OVERLAY_QUIET)
		return NULL;
	f->undecided = false;
	f->layered = m->overlay == OVERLAY_ASKS;
	return m->overlay == OVERLAY_ASKS
		       ? "its files are measured in its layers, where these are watched"
		       : "it is not known whether this kernel lets it be watched";
}

/* ---- one filesystem ------------------------------------------------------------------------- */

static void unmark(struct mounts *m, struct filesystem *f, int fd)
{
	if (f->bits)
		assay_fanotify_unmark(m->daemon->group, fd, f->bits);
	f->bits = 0;
}

static bool is_wanted(const struct loaded_policy *p, const struct assay_fs *fs)
{
	const struct assay_fs_facts facts = assay_fs_facts(fs);

	return p->event_bits && assay_policy_wants_fs(p->compiled, &facts);
}

/* Asks the policy. NULL: it is to be watched; "": not, and nobody asks for it; else why not. */
static const char *why_not(struct mounts *m, struct filesystem *f, const struct assay_fs *fs)
{
	const char *refused;

	if (!is_wanted(atomic_load(&m->daemon->policy), fs))
		return "";
	if (assay_mount_is_made(f->what.type))
		return "made by the kernel";
	/* By the kernel's word: the type may be the scout's. */
	if (fs->magic != OVERLAYFS_SUPER_MAGIC)
		return NULL;
	refused = overlay_refused(m, f);
	return f->undecided ? "" : refused;
}

/* Why an overlay is not even opened, or NULL: to open its root, or to ask for its type, may be to
 * ask whoever answers for a layer. One that is marked was found to have none. */
static const char *overlay_shut(struct mounts *m, struct filesystem *f)
{
	static const struct assay_fs overlay = { .magic = OVERLAYFS_SUPER_MAGIC,
						 .name = "overlay" };

	if (!is_overlay(f) || f->bits)
		return NULL;
	if (overlay_may_wait(m, f))
		return why_not(m, f, &overlay);
	return f->undecided ? "" : NULL;
}

void mounts_mark(struct mounts *m, struct filesystem *f, int fd, const struct stat *st)
{
	struct daemon *d = m->daemon;
	uint32_t bits = atomic_load(&d->policy)->event_bits;
	struct assay_fs fs;
	const char *reason;
	int r = assay_fs_table_get(d->fs, fd, st, &fs);

	if (r < 0) {
		mounts_set_uncovered(f, strerror(-r));
		return;
	}
	reason = why_not(m, f, &fs);
	if (reason) {
		unmark(m, f, fd);
		mounts_set_uncovered(f, reason);
		return;
	}
	if (f->bits & ~bits)
		assay_fanotify_unmark(d->group, fd, f->bits & ~bits);
	/* Also what was marked before: the number may be another filesystem's by now. */
	r = assay_fanotify_mark(d->group, fd, bits);
	if (r < 0) {
		mounts_set_uncovered(f, strerror(-r));
		return;
	}
	f->bits = bits;
}

void mounts_begin(struct mounts *m, uint64_t dev, const char *point, const char *type,
		  struct filesystem *ret)
{
	const struct filesystem *before = filesystems_find(&m->known, dev);

	/* Of another type it is another filesystem, with a number that was used again. */
	*ret = before && strcmp(before->what.type, type) == 0 ? *before
							      : (struct filesystem){ .dev = dev };
	assay_fmt(ret->what.point, sizeof(ret->what.point), "%s", point);
	assay_fmt(ret->what.type, sizeof(ret->what.type), "%s", type);
	ret->what.reason[0] = '\0';
	ret->remote = assay_mount_is_remote(type);
	ret->undecided = ret->layered = false;
}

void mounts_begin_here(struct mounts *m, const struct assay_mount *mount, struct filesystem *ret)
{
	mounts_begin(m, mount->dev, mount->point, mount->type, ret);
	ret->layer = ret->remote && may_wait_in(m, mount);
	ret->ours = true;
	ret->elsewhere = false;
	ret->seen = m->scan;
}

const char *mounts_why_shut(int error)
{
	switch (error) {
	case EBUSY:
		return "another filesystem is mounted over it";
	case EREMOTE: /* an automounter, who is not asked */
		return "another process answers for the way there";
	case ETIMEDOUT:
		return "another process or machine answers for the way there, and is silent";
	case EREMOTEIO:
		return answered;
	case EMULTIHOP:
		return waits;
	default:
		return strerror(error);
	}
}

int mounts_open_way(struct mounts *m, uint64_t place, const char *path)
{
	int fd = assay_mount_open_path(path, m->mountinfo);

	return fd == -EAGAIN ? usher_open(m->usher, place, path) : fd;
}

/* What the kernel makes is named, and not opened. */
static int open_mount(struct mounts *m, const struct assay_mount *mount)
{
	AUTO(fd) int fd = mounts_open_way(m, (uint32_t)mount->id, mount->point);
	int r = fd < 0 ? fd : assay_mount_check(fd, mount);

	if (r < 0)
		return r;
	return assay_mount_is_made(mount->type) ? TAKE_FD(fd) : assay_mount_open_again(fd);
}

static void look_at(struct mounts *m, const struct assay_mount *mount)
{
	const struct assay_fs automount = { .magic = AUTOFS_SUPER_MAGIC, .name = "autofs" };
	const char *shut;
	struct filesystem f;
	struct stat st;
	AUTO(fd) int fd = -1;

	mounts_begin_here(m, mount, &f);
	if (f.remote) {
		mounts_set_uncovered(&f, answered);
	} else if (strcmp(mount->type, automount.name) == 0) {
		mounts_set_uncovered(&f, why_not(m, &f, &automount)); /* nobody looks there */
	} else if ((shut = overlay_shut(m, &f))) {
		mounts_set_uncovered(&f, shut);
	} else {
		fd = open_mount(m, mount);
		if (fd < 0 || fstat(fd, &st) < 0)
			mounts_set_uncovered(&f, mounts_why_shut(fd < 0 ? -fd : errno));
		else
			mounts_mark(m, &f, fd, &st);
	}
	mounts_keep(m, &f);
}

/* ---- our own mounts ------------------------------------------------------------------------- */

/* Its number may come back as another filesystem's. */
static bool is_mounted_no_more(void *ctx, const struct filesystem *f)
{
	const struct mounts *m = ctx;

	return !f->elsewhere && f->seen != m->scan && !is_untold(NULL, f);
}

/* Of the mounts of one filesystem any that can be opened will do: the next one is tried while the
 * one before failed. */
static int scan_all(struct mounts *m, struct assay_err *err)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	struct assay_bytes rest = m->mountinfo;
	const struct filesystem *f;
	unsigned skipped = 0;

	if (!mount)
		return assay_err_set(err, -ENOMEM, "out of memory");
	m->untold_here = false;
	while (assay_mountinfo_next(&rest, mount, &skipped)) {
		if (view_link_owns(m->daemon->view, mount->type, mount->subtype, mount->point))
			continue;
		f = filesystems_find(&m->known, mount->dev);
		if (f && !f->elsewhere && f->seen == m->scan && !f->what.reason[0])
			continue;
		look_at(m, mount);
	}
	drop(m, is_mounted_no_more);
	keep_untold(m);
	if (skipped)
		log_line(LOG_WARNING, "%u lines of mountinfo were not understood", skipped);
	free(mount);
	return 0;
}

int mounts_scan(struct mounts *m, struct assay_err *err)
{
	AUTO(file) struct assay_file text = { 0 };
	int r = assay_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);

	if (r < 0)
		return r;
	assay_fs_table_clear(m->daemon->fs);
	m->root_enters = overlay_root_enters();
	if (layers_find(text.bytes, may_wait_in, m, &m->layers) < 0)
		return assay_err_set(err, -ENOMEM, "out of memory");
	m->mountinfo = text.bytes;
	m->scan++;
	usher_begin(m->usher, assay_clock_ns());
	if (m->daemon->conf.mount.n == 0)
		r = scan_all(m, err);
	else if (m->known.n == 0)
		r = mounts_note_remote(m, err); /* once */
	if (r == 0 && m->daemon->conf.mount.n)
		r = mounts_scan_given(m, err);
	usher_end(m->usher);
	m->mountinfo = assay_bytes(NULL, 0);
	layers_done(&m->layers);
	return r;
}

/* ---- other namespaces ----------------------------------------------------------------------- */

static void begin_elsewhere(struct mounts *m, const struct scout_mount *what,
			    struct filesystem *ret)
{
	/* Of a namespace whose table is not known; no device has such a number. */
	uint64_t dev = what->dev ? what->dev : ~what->place.ns;
	char point[SCOUT_POINT_MAX];

	assay_fmt(point, sizeof(point), "mnt:[%llu]%s", (unsigned long long)what->place.ns,
		  what->point);
	mounts_begin(m, dev, point, what->type, ret);
	if (!ret->elsewhere)
		ret->since = m->pass;
	if (!ret->elsewhere || ret->seen != m->pass)
		ret->ours = ret->layer = false;
	ret->ours |= (what->flags & SCOUT_OURS) != 0;
	ret->layer |= ret->remote && (what->flags & SCOUT_LAYER || (ret->ours && m->root_enters));
	ret->elsewhere = true;
	ret->seen = m->pass;
}

void mounts_found_elsewhere(struct mounts *m, const struct scout_mount *what, int found,
			    const char *reason)
{
	AUTO(fd) int fd = -1;
	struct filesystem f;
	struct stat st;

	begin_elsewhere(m, what, &f);
	if (!reason && f.remote)
		reason = answered;
	if (!reason)
		reason = overlay_shut(m, &f);
	if (reason) {
		mounts_set_uncovered(&f, reason);
	} else {
		fd = assay_mount_open_again(found);
		if (fd < 0 || fstat(fd, &st) < 0)
			mounts_set_uncovered(&f, mounts_why_shut(fd < 0 ? -fd : errno));
		else
			mounts_mark(m, &f, fd, &st);
	}
	mounts_keep(m, &f);
}

static bool was_not_found(void *ctx, const struct filesystem *f)
{
	const struct mounts *m = ctx;

	return f->elsewhere && f->seen != m->pass;
}

void mounts_end_elsewhere(struct mounts *m)
{
	drop(m, was_not_found);
	m->untold_before = m->untold_there;
	m->untold_there = false;
	keep_untold(m);
	m->pass++;
}

bool mounts_are_undecided(const struct mounts *m)
{
	const struct filesystem *f = NULL;

	while ((f = filesystems_next(&m->known, f)))
		if (f->undecided)
			return true;
	return false;
}

/* ---- for other threads ---------------------------------------------------------------------- */

int mounts_list(struct mounts *m, struct filesystems_list *ret)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = filesystems_list(&m->known, ret);
	pthread_mutex_unlock(&m->lock);
	return r;
}

uint32_t mounts_covered(struct mounts *m)
{
	const struct filesystem *f = NULL;
	uint32_t n = 0;

	pthread_mutex_lock(&m->lock);
	while ((f = filesystems_next(&m->known, f)))
		n += f->bits != 0;
	pthread_mutex_unlock(&m->lock);
	return n;
}

uint32_t mounts_uncovered(struct mounts *m, struct mounts_uncovered *ret, uint32_t max)
{
	const struct filesystem *f = NULL;
	uint32_t n = 0;

	pthread_mutex_lock(&m->lock);
	while ((f = filesystems_next(&m->known, f))) {
		if (!f->what.reason[0])
			continue;
		if (n < max)
			ret[n] = f->what;
		n++;
	}
	pthread_mutex_unlock(&m->lock);
	return n;
}
