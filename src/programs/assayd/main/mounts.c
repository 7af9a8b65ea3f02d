/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/scout/overlay_probe.h"
#include "programs/assayd/main/tally.h"
#include "programs/assayd/view/view_link.h"

#define MOUNTINFO_MAX	 (64u << 20)
#define FS_MAX		 4096u /* filesystems kept track of */
#define FILESYSTEMS_MAX	 65536u
#define OVERLAY_RETRY_NS 60000000000ull

struct entry {
	uint64_t dev;
	uint32_t bits; /* ASSAY_FANOTIFY_ that are marked */
	bool remote, wanted;
	bool elsewhere;		      /* in other mount namespaces only */
	bool found;		      /* there, in the pass that is under way */
	struct mounts_uncovered what; /* reason "": watched, or not wanted */
};

struct mounts {
	struct daemon *daemon;
	int fd; /* of /proc/self/mountinfo, to poll */
	pthread_mutex_t lock;
	struct entry *entry;
	uint32_t n, cap;
	/* What each mount= was when it was looked at last. */
	struct given {
		uint64_t dev; /* 0: it was not yet */
		bool gone;
	} given[ASSAY_CONF_LIST_MAX];
	struct tally tally;	      /* of records that say "uncovered" */
	struct assay_bytes mountinfo; /* while it is gone through */
	bool has_remote;	      /* that has a filesystem that others answer for */
	bool has_refused;	      /* an overlay over one of these was met */
	enum overlay_kind overlay;
	uint64_t overlay_next_ns; /* when it is tried again, if it is not known */
};

static bool has_overlay(void)
{
	struct assay_file text = { 0 };
	bool has;

	if (assay_file_read(AT_FDCWD, "/proc/filesystems", FILESYSTEMS_MAX, &text, NULL) < 0)
		return true;
	has = memmem(text.bytes.data, text.bytes.len, "\toverlay\n", 9) != NULL;
	assay_file_free(&text);
	return has;
}

int mounts_new(struct daemon *d, struct mounts **ret, struct assay_err *err)
{
	struct mounts *m = calloc(1, sizeof(*m));

	if (!m)
		return assay_err_set(err, -ENOMEM, "out of memory");
	m->daemon = d;
	pthread_mutex_init(&m->lock, NULL);
	/* Now, while nothing is marked and nobody has to wait for us. */
	if (d->conf.mount.n != 1 && has_overlay())
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
	free(m->entry);
	free(m);
}

int mounts_fd(const struct mounts *m)
{
	return m->fd;
}

static struct entry *find(const struct mounts *m, uint64_t dev)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->entry[i].dev == dev)
			return &m->entry[i];
	return NULL;
}

static void keep(struct mounts *m, const struct entry *e)
{
	struct entry *at, *bigger;

	pthread_mutex_lock(&m->lock);
	at = find(m, e->dev);
	if (!at && m->n == m->cap && m->n < FS_MAX) {
		bigger = realloc(m->entry, (m->cap + 64) * sizeof(*bigger));
		if (bigger) {
			m->entry = bigger;
			m->cap += 64;
		}
	}
	if (!at && m->n < m->cap)
		at = &m->entry[m->n++];
	if (at)
		*at = *e;
	pthread_mutex_unlock(&m->lock);
}

static void fill_uncovered(void *ctx, struct assay_wr *w)
{
	const struct mounts_uncovered *what = ctx;

	assay_state_add(w, "type", assay_bytes_str(what->type));
	assay_state_add(w, "point", assay_bytes_str(what->point));
	assay_state_add(w, "reason", assay_bytes_str(what->reason));
}

static void set_uncovered(struct mounts *m, struct entry *e, const char *reason)
{
	const struct entry *before = find(m, e->dev);
	struct assay_err err;

	if (before && strcmp(before->what.reason, reason) == 0) {
		*e = *before;
		return;
	}
	assay_fmt(e->what.reason, sizeof(e->what.reason), "%s", reason);
	if (!tally_add(&m->tally, e->what.type, assay_clock_ns()))
		return;
	log_line(LOG_NOTICE, "not watched: %s (%s): %s", e->what.point, e->what.type, reason);
	audit_uncovered(m->daemon, &e->what);
	if (anchor_state(m->daemon->anchor, "uncovered", fill_uncovered, &e->what, false, NULL,
			 &err) < 0)
		log_line(LOG_ERR, "cannot record that %s is not watched: %s", e->what.point,
			 err.text);
}

static void fill_counted(void *ctx, struct assay_wr *w)
{
	const struct tally_kind *k = ctx;

	assay_state_add(w, "type", assay_bytes_str(k->name));
	assay_state_add_u64(w, "count", k->counted);
}

void mounts_record_counts(struct mounts *m, bool all)
{
	uint64_t now = all ? UINT64_MAX : assay_clock_ns();
	struct tally_kind k;
	struct assay_err err;

	while (tally_take(&m->tally, now, &k)) {
		log_line(LOG_NOTICE, "not watched: %llu more filesystems (%s)",
			 (unsigned long long)k.counted, k.name);
		if (anchor_state(m->daemon->anchor, "uncovered", fill_counted, &k, false, NULL,
				 &err) < 0)
			log_line(LOG_ERR, "cannot record what is not watched: %s", err.text);
	}
}

static bool any_is_remote(const struct mounts *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->entry[i].remote)
			return true;
	return false;
}

/* Who opens a file there may wait for others. */
static bool may_wait_in(const struct mounts *m, const struct assay_mount *mount)
{
	const struct entry *e;

	if (strcmp(mount->type, "overlay") == 0)
		return m->has_refused && (e = find(m, mount->dev)) && e->what.reason[0];
	return assay_mount_is_remote(mount->type) &&
	       !view_link_owns(m->daemon->view, mount->type, mount->subtype, mount->point);
}

/* Most machines have none, and then no overlay has to be looked at. */
static bool has_remote(const struct mounts *m)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	struct assay_bytes rest = m->mountinfo;
	unsigned skipped = 0;
	bool has = !mount;

	while (!has && assay_mountinfo_next(&rest, mount, &skipped))
		has = assay_mount_is_remote(mount->type) && may_wait_in(m, mount);
	free(mount);
	return has;
}

static bool find_mount(const struct mounts *m, uint64_t dev, struct assay_mount *ret)
{
	struct assay_bytes rest = m->mountinfo;
	unsigned skipped = 0;

	while (assay_mountinfo_next(&rest, ret, &skipped))
		if (ret->dev == dev)
			return true;
	return false;
}

/* To read an overlay's event is to open the layer's file, in read(): the reader would wait for
 * whoever answers for that. What is mounted elsewhere does not say its layers here. */
static bool layers_may_wait(const struct mounts *m, uint64_t dev)
{
	struct assay_bytes rest = m->mountinfo;
	struct assay_mount *mount, *other;
	unsigned skipped = 0;
	bool found;

	if (rest.len && !m->has_remote)
		return false;
	mount = malloc(2 * sizeof(*mount));
	other = mount ? mount + 1 : NULL;
	found = !mount;
	if (mount && !find_mount(m, dev, mount))
		found = any_is_remote(m);
	else
		while (!found && assay_mountinfo_next(&rest, other, &skipped))
			found = other->dev != dev && may_wait_in(m, other) &&
				assay_mount_layers_below(mount->options, other->point);
	free(mount);
	return found;
}

/* Why an overlay must not be watched (overlay_probe.h), or NULL. A single mount= is no other's
 * layer. */
static const char *overlay_refused(struct mounts *m, uint64_t dev)
{
	static const char waits[] = "another process or machine may answer for one of its layers";
	const struct entry *before = find(m, dev);

	/* For as long as it is mounted: a layer stays when its own mount is gone. */
	if ((before && strcmp(before->what.reason, waits) == 0) || layers_may_wait(m, dev)) {
		m->has_refused = true;
		return waits;
	}
	if (m->daemon->conf.mount.n == 1)
		return NULL;
	if (m->overlay == OVERLAY_UNKNOWN && assay_clock_ns() >= m->overlay_next_ns) {
		m->overlay = overlay_probe(m->daemon->spawner);
		m->overlay_next_ns = assay_clock_ns() + OVERLAY_RETRY_NS;
	}
	if (m->overlay == OVERLAY_QUIET)
		return NULL;
	return m->overlay == OVERLAY_ASKS
		       ? "its files are measured in its layers, where these are watched"
		       : "it is not known whether this kernel lets it be watched";
}

/* Asks the policy, and marks. */
static void mark(struct mounts *m, struct entry *e, int fd, const struct stat *st)
{
	struct daemon *d = m->daemon;
	const struct loaded_policy *p = atomic_load(&d->policy);
	struct assay_fs_facts facts;
	const char *refused;
	struct assay_fs fs;
	int r = assay_fs_table_get(d->fs, fd, st, &fs);

	if (r < 0) {
		set_uncovered(m, e, strerror(-r));
		return;
	}
	facts = assay_fs_facts(&fs);
	e->wanted = p->event_bits && assay_policy_wants_fs(p->compiled, &facts);
	if (!e->wanted) {
		if (e->bits)
			assay_fanotify_unmark(d->group, fd, e->bits);
		e->bits = 0;
		return;
	}
	if (assay_mount_is_made(e->what.type)) {
		set_uncovered(m, e, "made by the kernel");
		return;
	}
	/* By the kernel's word: the type may be the scout's. */
	if (fs.magic == OVERLAYFS_SUPER_MAGIC && (refused = overlay_refused(m, e->dev))) {
		if (e->bits)
			assay_fanotify_unmark(d->group, fd, e->bits);
		e->bits = 0;
		set_uncovered(m, e, refused);
		return;
	}
	if (e->bits & ~p->event_bits)
		assay_fanotify_unmark(d->group, fd, e->bits & ~p->event_bits);
	/* Also what was marked before: the number may be another filesystem's by now. */
	r = assay_fanotify_mark(d->group, fd, p->event_bits);
	if (r < 0) {
		set_uncovered(m, e, strerror(-r));
		return;
	}
	if (!e->bits)
		log_line(LOG_INFO, "watching %s (%s)", e->what.point, e->what.type);
	e->bits = p->event_bits;
	e->what.reason[0] = '\0';
}

static void begin_entry(struct mounts *m, uint64_t dev, const char *point, const char *type,
			struct entry *ret)
{
	const struct entry *before = find(m, dev);

	*ret = before ? *before : (struct entry){ .dev = dev };
	assay_fmt(ret->what.point, sizeof(ret->what.point), "%s", point);
	assay_fmt(ret->what.type, sizeof(ret->what.type), "%s", type);
	ret->remote = assay_mount_is_remote(type);
	ret->elsewhere = false;
}

static void look_at(struct mounts *m, const struct assay_mount *mount)
{
	struct entry e;
	struct stat st;
	AUTO(fd) int fd = -1;

	begin_entry(m, mount->dev, mount->point, mount->type, &e);
	if (e.remote) {
		set_uncovered(m, &e, "another process or machine answers for it");
	} else {
		fd = open(mount->point, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 || fstat(fd, &st) < 0)
			set_uncovered(m, &e, strerror(errno));
		else if (st.st_dev != mount->dev && strcmp(mount->type, "btrfs") != 0 &&
			 strcmp(mount->type, "overlay") != 0)
			set_uncovered(m, &e, "another filesystem is mounted over it");
		else
			mark(m, &e, fd, &st);
	}
	keep(m, &e);
}

static bool was_seen(const uint64_t *seen, size_t n, uint64_t dev)
{
	while (n > 0)
		if (seen[--n] == dev)
			return true;
	return false;
}

/* Forgets what is mounted no more: its number may come back as another filesystem's. */
static void drop_unseen(struct mounts *m, const uint64_t *seen, size_t n)
{
	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->n;) {
		if (m->entry[i].elsewhere || was_seen(seen, n, m->entry[i].dev))
			i++;
		else
			m->entry[i] = m->entry[--m->n];
	}
	pthread_mutex_unlock(&m->lock);
}

/* Of the mounts of one filesystem any that can be opened will do: the next one is tried while the
 * one before failed. */
static int scan_all(struct mounts *m, struct assay_err *err)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	uint64_t *seen = calloc(FS_MAX, sizeof(*seen));
	struct assay_bytes rest = m->mountinfo;
	unsigned skipped = 0;
	size_t n = 0;

	if (!mount || !seen) {
		free(mount);
		free(seen);
		return assay_err_set(err, -ENOMEM, "out of memory");
	}
	while (assay_mountinfo_next(&rest, mount, &skipped)) {
		const struct entry *e = find(m, mount->dev);

		if (view_link_owns(m->daemon->view, mount->type, mount->subtype, mount->point))
			continue;
		if (was_seen(seen, n, mount->dev) && (!e || !e->what.reason[0]))
			continue;
		if (n < FS_MAX)
			seen[n++] = mount->dev;
		look_at(m, mount);
	}
	drop_unseen(m, seen, n);
	if (skipped)
		log_line(LOG_WARNING, "%u lines of mountinfo were not understood", skipped);
	free(mount);
	free(seen);
	return 0;
}

/* What was mounted there is unmounted: the path is of a filesystem that nobody has named. */
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

/* mount=: these and no others, and they must be there. */
static int scan_given(struct mounts *m, struct assay_err *err)
{
	const struct assay_conf_strings *given = &m->daemon->conf.mount;

	for (uint32_t i = 0; i < given->n; i++) {
		const char *point = given->value[i];
		AUTO(fd) int fd = open(point, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		struct assay_fs fs;
		struct entry e;
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0 ||
		    assay_fs_table_get(m->daemon->fs, fd, &st, &fs) < 0)
			return assay_err_set(err, -EINVAL, "cannot watch '%s': %s", point,
					     strerror(errno));
		if (is_gone(m, i, fd, &st))
			continue;
		begin_entry(m, st.st_dev, point, fs.name, &e);
		if (e.remote)
			set_uncovered(m, &e, "another process or machine answers for it");
		else
			mark(m, &e, fd, &st);
		keep(m, &e);
		if (e.what.reason[0])
			return assay_err_set(err, -EINVAL, "cannot watch '%s': %s", point,
					     e.what.reason);
	}
	return 0;
}

/* mount= names what is watched, but a program may run from elsewhere at the start: whoever looks at
 * it must know what it would wait for. */
static int note_remote(struct mounts *m, struct assay_err *err)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	struct assay_bytes rest = m->mountinfo;
	unsigned skipped = 0;
	struct entry e;

	if (!mount)
		return assay_err_set(err, -ENOMEM, "out of memory");
	while (assay_mountinfo_next(&rest, mount, &skipped)) {
		if (!assay_mount_is_remote(mount->type))
			continue;
		begin_entry(m, mount->dev, mount->point, mount->type, &e);
		keep(m, &e);
	}
	free(mount);
	return 0;
}

/* ---- other namespaces ----------------------------------------------------------------------- */

void mounts_found_elsewhere(struct mounts *m, const struct scout_mount *what, int found,
			    const char *reason)
{
	char point[SCOUT_POINT_MAX], link[64];
	AUTO(fd) int fd = -1;
	struct entry e;
	struct stat st;

	assay_fmt(point, sizeof(point), "mnt:[%llu]%s", (unsigned long long)what->place.ns,
		  what->point);
	begin_entry(m, what->dev, point, what->type, &e);
	e.elsewhere = e.found = true;
	if (!reason && e.remote)
		reason = "another process or machine answers for it";
	if (reason) {
		set_uncovered(m, &e, reason);
	} else {
		assay_fmt(link, sizeof(link), "/proc/self/fd/%d", found);
		fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 || fstat(fd, &st) < 0)
			set_uncovered(m, &e, strerror(errno));
		else
			mark(m, &e, fd, &st);
	}
	keep(m, &e);
}

void mounts_end_elsewhere(struct mounts *m)
{
	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->n;) {
		struct entry *e = &m->entry[i];

		if (e->elsewhere && !e->found) {
			*e = m->entry[--m->n];
			continue;
		}
		e->found = false;
		i++;
	}
	pthread_mutex_unlock(&m->lock);
}

int mounts_scan(struct mounts *m, struct assay_err *err)
{
	AUTO(file) struct assay_file text = { 0 };
	int r = assay_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);

	if (r < 0)
		return r;
	assay_fs_table_clear(m->daemon->fs);
	m->mountinfo = text.bytes;
	m->has_remote = has_remote(m);
	if (m->daemon->conf.mount.n == 0)
		r = scan_all(m, err);
	else if (m->n == 0)
		r = note_remote(m, err); /* once */
	if (r == 0 && m->daemon->conf.mount.n)
		r = scan_given(m, err);
	m->mountinfo = assay_bytes(NULL, 0);
	return r;
}

bool mounts_is_remote(struct mounts *m, uint64_t dev)
{
	const struct entry *e;
	bool remote;

	pthread_mutex_lock(&m->lock);
	e = find(m, dev);
	remote = e && e->remote;
	pthread_mutex_unlock(&m->lock);
	return remote;
}

uint32_t mounts_covered(struct mounts *m)
{
	uint32_t n = 0;

	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->n; i++)
		n += m->entry[i].bits != 0;
	pthread_mutex_unlock(&m->lock);
	return n;
}

uint32_t mounts_uncovered(struct mounts *m, struct mounts_uncovered *ret, uint32_t max)
{
	uint32_t n = 0;

	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->n; i++) {
		if (!m->entry[i].what.reason[0])
			continue;
		if (n < max)
			ret[n] = m->entry[i].what;
		n++;
	}
	pthread_mutex_unlock(&m->lock);
	return n;
}
