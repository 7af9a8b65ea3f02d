/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a file in the loop: mark, look at the lease, answer, drop; and who waited behind it.
 */

#include "backends/source_fanotify/lease.h"
#include "base/clock.h"
#include "programs/assayd/main/loop_private.h"

#define NODE_FILE(n) ((struct file *)(n))
_Static_assert(offsetof(struct file, node) == 0, "NODE_FILE");

static bool set_mark(struct loop *l, const struct file *f)
{
	return f->leased && f->ignore_bits && !f->answered &&
	       assay_fanotify_ignore(l->daemon->group, f->event.fd, f->ignore_bits, f->epoch) == 0;
}

/* open(O_RDONLY | O_TRUNC) empties a file without breaking a lease, and after its own event. Looked
 * at when the mark is there: who empties it later drops that. */
static bool has_size(int fd, int64_t size)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == size;
}

/* Leaves the ignore mark there if nothing has happened since the lease was taken. Who waits behind
 * is collected before the last look at the lease: who comes later may see changed content. */
static struct assay_inflight_node *settle(struct loop *l, struct file *f)
{
	struct daemon *d = l->daemon;
	struct assay_inflight_node *waiters = NULL;
	bool marked = set_mark(l, f), intact;

	if (f->owns_inode)
		waiters = assay_inflight_waiters(&f->node);
	intact = f->leased && assay_lease_intact(f->event.fd) && has_size(f->event.fd, f->size);
	if (f->leased && !intact)
		atomic_fetch_add(&d->totals.broken_leases, 1);
	if (marked && intact)
		atomic_fetch_add(&d->totals.marks, 1);
	else if (marked)
		assay_fanotify_unignore(d->group, f->event.fd, f->ignore_bits);
	f->has_known = f->has_known && intact && f->known.digest.alg != ASSAY_HASH_COUNT;
	return waiters;
}

/* @of: what they saw was found out for it; NULL: it is to be found out. */
void loop_file_release(struct loop *l, struct assay_inflight_node *waiter, const struct file *of)
{
	struct assay_inflight_node *next;

	for (; waiter; waiter = next) {
		struct file *f = NODE_FILE(waiter);

		next = waiter->next_waiter;
		f->owns_inode = false; /* it has to enter again */
		f->has_known = of && of->has_known;
		if (f->has_known)
			f->known = of->known;
		f->state = FILE_NEW;
		f->on_way = true;
		atomic_fetch_add(&l->config.arrivals->on_way, 1);
		loop_file_begin(l, f);
	}
}

static void end(struct loop *l, struct file *f)
{
	struct assay_inflight_node *later = NULL, *waiters = f->settled_waiters;

	/* A writer that waits for our lease goes on after the opener, not before. */
	loop_file_drop_lease(f);
	if (f->owns_inode)
		later = assay_inflight_leave(l->inflight, &f->node);
	loop_file_release(l, waiters, f);
	loop_file_release(l, later, NULL);
	for (uint32_t i = 0; i < l->n_later; i++)
		if (l->later[i] == f)
			l->later[i] = l->later[--l->n_later];
	if (f->late)
		loop_late_done(l, 1);
	loop_file_free(l, f);
	arrivals_drop(l->config.arrivals);
}

/* Each answer wakes all who wait in the group, so that many at once wake them once. */
void loop_file_settle(struct loop *l)
{
	struct file *first, *f, *next;
	uint64_t now;

	while ((first = l->ready.first)) {
		l->ready = (struct file_list){ 0 };
		for (f = first; f; f = f->next)
			f->settled_waiters = settle(l, f);
		now = assay_clock_ns();
		for (f = first; f; f = f->next)
			if (!f->late && !f->answered)
				latency_add(&l->daemon->totals.waits, now - f->arrived_ns);
		for (f = first; f; f = f->next)
			loop_file_answer(l, f, true);
		for (f = first; f; f = next) {
			next = f->next;
			end(l, f);
		}
	}
}
