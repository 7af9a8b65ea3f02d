/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop stops where it is, and whoever waits goes on waiting: for another process, or for the
 * same loop with another anchor. What is recorded of a file already is found there again.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "programs/assayd/main/loop_private.h"

static void keep(struct loop *l, struct file *f, struct held *ret)
{
	struct held_event e = { .event = f->event, .arrived_ns = f->arrived_ns };

	/* Nobody waits for it, but it is to be measured. */
	e.event.answered = f->answered && f->goes_on;
	if (f->answered && !f->goes_on)
		return;
	if (!f->late && held_put(ret, &e))
		f->event.fd = -1;
	else if (f->answered)
		ledger_add(l->config.ledger, LEDGER_STOP, true, NULL, 0, 0);
	else
		loop_file_answer_early(l, f, LEDGER_STOP);
	if (f->answered)
		return;
	f->answered = true;
	loop_file_unlink(l, f);
}

/* From here on nothing that a worker says is for any of them. Who is read has a hearing. */
static void stop_work(struct loop *l)
{
	struct file *f;

	for (uint32_t i = 0; i < l->n_slots; i++) {
		if (!(f = loop_file_at(l, i)))
			continue;
		if (f->state == FILE_QUEUED)
			fair_remove(f->line, &f->queued);
		if (f->state != FILE_BEHIND)
			f->state = FILE_READY;
		loop_file_drop_lease(f);
	}
	for (uint32_t i = 0; i < l->n_slots; i++)
		if ((f = loop_file_at(l, i)) && f->hearing)
			crew_cancel(l->crew, loop_file_id(f, 0));
	l->reads = l->waits = l->ready = (struct file_list){ 0 };
	l->n_later = 0;
}

static void leave_files(struct loop *l, struct held *ret)
{
	struct file *f;

	stop_work(l);
	for (uint32_t i = 0; i < l->n_slots; i++) {
		if (!(f = loop_file_at(l, i)))
			continue;
		keep(l, f, ret);
		if (f->owns_inode && f->state != FILE_BEHIND)
			(void)assay_inflight_leave(l->inflight, &f->node);
		if (f->late)
			loop_late_left_out(l, 1);
		loop_file_free(l, f);
		arrivals_drop(l->config.arrivals);
	}
}

/* Those that the loop has not taken yet. */
static void leave_batch(struct loop *l, const struct arrival_batch *b, struct held *ret)
{
	bool allow = atomic_load(&l->daemon->deadline.allows);

	for (uint32_t i = 0; i < b->n; i++) {
		const struct held_event e = { b->event[i], b->arrived_ns };

		if (b->late || !held_put(ret, &e)) {
			bool waits = !b->late && !e.event.answered;

			if (waits)
				assay_fanotify_answer(l->daemon->group, e.event.fd, allow);
			ledger_add(l->config.ledger, LEDGER_FULL, allow || !waits, NULL, 0, 0);
			close(e.event.fd);
		}
		arrivals_drop(l->config.arrivals);
	}
	if (b->late)
		loop_late_left_out(l, b->n);
}

void loop_leave_rest(struct loop *l, struct held *ret)
{
	struct arrival_batch *b, *next;

	for (b = arrivals_take(l->config.arrivals); b; b = next) {
		next = b->next;
		leave_batch(l, b, ret);
		free(b);
	}
	atomic_store(&l->config.arrivals->on_way, 0);
}

void loop_leave(struct loop *l, struct held *ret)
{
	atomic_store(&l->leaving, true);
	loop_close(l);
	leave_files(l, ret);
	loop_leave_rest(l, ret);
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->recording_fd, NULL);
	recording_free(l->recording);
	l->recording = NULL;
	l->wants_to_write = false;
	l->anchored = 0;
}
