/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new group in the place of one whose marks cannot be cleared one by one. All filesystems are
 * marked by the new one before the old one is retired, and that stays as it is, asked and answered,
 * until nobody waits in it: an open that began before the new marks is the old group's, one that
 * began later is asked for by the new one whatever the old one does. So no moment is without a mark
 * that is whole, which removing marks from a group that lives on cannot have (marks.c).
 */
#include "backends/source_fanotify/group.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

/* Long beyond what an opener takes from looking up the marks to waiting in our queue, unless
 * another group of another program holds it in between. */
#define GRACE_NS 1000000000ull
#define TICK_NS	 20000000
#define WAIT_S	 2 /* for a place among the groups */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_timer(struct assay_fanotify *f, bool on)
{
	struct itimerspec t = { 0 };

	if (on)
		t.it_value.tv_nsec = TICK_NS;
	timerfd_settime(f->timer_fd, 0, &t, NULL);
}

static unsigned find_free(const struct assay_fanotify *f)
{
	unsigned i = 0;

	while (i < GROUPS && atomic_load(&f->group[i].fd) >= 0)
		i++;
	return i;
}

/* The reader closes groups. */
static unsigned wait_free(const struct assay_fanotify *f)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	uint64_t until = now_ns() + WAIT_S * 1000000000ull;
	unsigned i;

	while ((i = find_free(f)) == GROUPS && now_ns() < until)
		nanosleep(&tick, NULL);
	return i;
}

struct copying {
	struct assay_reach *reach;
	int fd, r;
};

static void copy_mark(void *ctx, struct assay_bytes line)
{
	struct copying *c = ctx;
	struct assay_fs_mark mark;
	AUTO(fd) int fd = -1;

	if (c->r < 0 || !assay_fs_mark_parse(line, &mark))
		return;
	fd = assay_reach_mount(c->reach, mark.dev);
	if (fd < 0 ||
	    fanotify_mark(c->fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mark.mask, fd, NULL) < 0)
		c->r = -EXDEV;
}

static void retire(struct assay_fanotify *f, struct kernel_group *old)
{
	old->retired_ns = now_ns();
	atomic_store(&old->retired, true);
	set_timer(f, true);
}

int assay_fanotify_renew(struct assay_fanotify *f, struct assay_reach *reach)
{
	struct kernel_group *old = &f->group[atomic_load(&f->current)];
	struct copying c = { .reach = reach };
	AUTO(fd) int fd = -1;
	unsigned slot = wait_free(f);
	int r;

	if (slot == GROUPS)
		return -EBUSY;
	fd = c.fd = assay_fanotify_open_group(f);
	if (fd < 0)
		return fd;
	r = assay_fanotify_list_marks(atomic_load(&old->fd), copy_mark, &c);
	if (r == 0)
		r = c.r;
	if (r == 0)
		r = assay_fanotify_poll_group(f, fd);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&f->marking);
	atomic_store(&f->group[slot].fd, TAKE_FD(fd));
	atomic_store(&f->current, slot);
	pthread_rwlock_unlock(&f->marking);
	retire(f, old);
	return 0;
}

/* Marks are removed while openers wait, by which others pass this group unasked: the new one has
 * asked them, or will. Without that a stream of openers would keep it open for ever. */
static void unmark(struct kernel_group *g)
{
	int fd = atomic_load(&g->fd);

	fanotify_mark(fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, "/");
	fanotify_mark(fd, FAN_MARK_FLUSH, 0, AT_FDCWD, "/");
	g->unmarked = true;
}

static void close_group(struct assay_fanotify *f, struct kernel_group *g)
{
	pthread_rwlock_wrlock(&f->closing);
	close(atomic_load(&g->fd));
	g->unmarked = false;
	atomic_store(&g->retired, false);
	atomic_store(&g->fd, -1);
	pthread_rwlock_unlock(&f->closing);
}

/* True: it is still there. */
static bool go_on_closing(struct assay_fanotify *f, struct kernel_group *g, bool drained)
{
	if (g->unmarked && drained && atomic_load(&g->unanswered) == 0) {
		close_group(f, g);
		return false;
	}
	if (!g->unmarked && now_ns() - g->retired_ns >= GRACE_NS)
		unmark(g);
	return true;
}

void assay_fanotify_close_retired(struct assay_fanotify *f, unsigned drained)
{
	uint64_t ticks;
	bool any = false;

	if (read(f->timer_fd, &ticks, sizeof(ticks)) > 0)
		set_timer(f,
			  false); /* before the look: whoever retires one after it sets it anew */
	for (unsigned i = 0; i < GROUPS; i++)
		if (atomic_load(&f->group[i].retired))
			any |= go_on_closing(f, &f->group[i], drained & 1u << i);
	if (any)
		set_timer(f, true);
}
