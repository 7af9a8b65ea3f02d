/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/mount_events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <unistd.h>

#ifndef FAN_REPORT_MNT
#define FAN_REPORT_MNT 0x4000
#endif
#ifndef FAN_MARK_MNTNS
#define FAN_MARK_MNTNS 0x110
#endif
#ifndef FAN_MNT_ATTACH
#define FAN_MNT_ATTACH 0x01000000
#endif

#define MARKS_MAX (3 * ASSAY_MOUNT_EVENTS_MAX) /* of namespaces that no pass meets, too */
#define READS	  4u			       /* what is left wakes once more */

/* Numbers of namespaces; ascending once the pass is over. */
struct numbers {
	uint64_t v[ASSAY_MOUNT_EVENTS_MAX];
	uint32_t n;
};

struct assay_mount_events {
	int group;
	uint32_t n_made;  /* marks that may be there */
	bool met_new;	  /* in this pass */
	uint32_t current; /* of the two: this pass; the other: the last whole one */
	struct numbers pass[2];
};

int assay_mount_events_new(struct assay_mount_events **ret)
{
	struct assay_mount_events *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->group = -1;
	*ret = e;
	return 0;
}

void assay_mount_events_free(struct assay_mount_events *e)
{
	if (!e)
		return;
	if (e->group >= 0)
		close(e->group);
	free(e);
}

int assay_mount_events_fd(const struct assay_mount_events *e)
{
	return e->group;
}

/* The queue has the kernel's limit, beyond which one event stands for all. */
static void open_group(struct assay_mount_events *e)
{
	e->group = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_MNT | FAN_UNLIMITED_MARKS |
					 FAN_CLOEXEC | FAN_NONBLOCK,
				 O_RDONLY | O_CLOEXEC);
	if (e->group < 0)
		e->group = -1;
}

/* Whoever makes namespaces all the time, and keeps them without a process, has marks that no pass
 * counts. The group itself stays: to close it is to wait for others. */
static void forget_marks(struct assay_mount_events *e)
{
	fanotify_mark(e->group, FAN_MARK_FLUSH | FAN_MARK_MNTNS, 0, AT_FDCWD, NULL);
	e->n_made = e->pass[0].n = e->pass[1].n = 0;
}

void assay_mount_events_begin(struct assay_mount_events *e)
{
	static char events[65536];

	e->pass[e->current].n = 0;
	e->met_new = false;
	if (e->group < 0)
		open_group(e);
	for (unsigned i = 0; i < READS && e->group >= 0; i++)
		if (read(e->group, events, sizeof(events)) <= 0)
			break;
	if (e->n_made > MARKS_MAX - ASSAY_MOUNT_EVENTS_MAX)
		forget_marks(e);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool has(const struct numbers *set, uint64_t ns)
{
	return set->n && bsearch(&ns, set->v, set->n, sizeof(ns), compare);
}

/* Also if it had one: the number may be another namespace's by now. */
void assay_mount_events_mark(struct assay_mount_events *e, uint64_t ns, int fd)
{
	struct numbers *now = &e->pass[e->current];

	if (e->group < 0 || now->n == ASSAY_MOUNT_EVENTS_MAX ||
	    fanotify_mark(e->group, FAN_MARK_ADD | FAN_MARK_MNTNS, FAN_MNT_ATTACH, fd, NULL) < 0)
		return;
	now->v[now->n++] = ns;
	if (!has(&e->pass[!e->current], ns)) {
		e->met_new = true;
		e->n_made++;
	}
}

bool assay_mount_events_end(struct assay_mount_events *e)
{
	struct numbers *now = &e->pass[e->current];

	qsort(now->v, now->n, sizeof(now->v[0]), compare);
	e->current = !e->current;
	return e->met_new;
}

uint32_t assay_mount_events_marked(const struct assay_mount_events *e)
{
	return e->pass[!e->current].n;
}
