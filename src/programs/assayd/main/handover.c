/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Until the new one says READY all goes on as ever, and its messages are taken between others. From
 * then on openers wait, and each step has its time. Whatever fails before TAKEN is undone: the new
 * one is dead before the old one's anchor is started again, so that there is one at a time.
 */
#include "programs/assayd/main/handover_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/reader.h"
#include "programs/assayd/process/log.h"

#define UNDER_WAY_MS 2000
#define ANCHOR_MS    15000
#define STEP_MS	     100

int handover_new(struct running *r, uint64_t past, struct handover **ret, struct assay_err *err)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return assay_err_set(err, -ENOMEM, "out of memory");
	h->r = r;
	h->past = past;
	h->child = (struct child){ .pidfd = -1, .socket = -1 };
	pthread_mutex_init(&h->lock, NULL);
	*ret = h;
	return 0;
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	child_close(&h->child); /* one that is not done ends by that */
	held_done(&h->held);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

bool handover_is_under_way(const struct handover *h)
{
	return atomic_load(&h->state) != HANDOVER_IDLE;
}

void handover_want(struct handover *h)
{
	atomic_store(&h->state, HANDOVER_WANTED);
}

int handover_fd(const struct handover *h)
{
	return h->child.socket;
}

json_t *handover_json(struct handover *h)
{
	json_t *j;

	pthread_mutex_lock(&h->lock);
	j = json_pack("{s:i, s:I, s:I, s:b}", "pid", (int)getpid(), "past", (json_int_t)h->past,
		      "failed", (json_int_t)h->failed, "under_way", handover_is_under_way(h));
	if (j && h->child.socket >= 0)
		json_object_set_new(j, "successor", json_integer(h->child.pid));
	if (j && h->reason[0])
		json_object_set_new(j, "reason", json_string(h->reason));
	pthread_mutex_unlock(&h->lock);
	return j;
}

/* ---- from one to the other ------------------------------------------------------------------- */

/* What is under way may end. */
static void let_end(struct daemon *d)
{
	uint64_t end = assay_clock_ns() + UNDER_WAY_MS * 1000000ull;

	while (atomic_load(&d->arrivals.held) > loop_idle_left(d->loop) && assay_clock_ns() < end)
		poll(NULL, 0, 1);
}

/* What main has said is in the list. */
static int drain(struct handover *h, struct assay_err *err)
{
	struct records *records = h->r->daemon->records;

	do {
		while (!records_drain(records, STEP_MS))
			if (!handover_wait(h) || assay_clock_ns() > h->due_ns)
				return assay_err_set(err, -EIO, "the list takes no records");
		records_tend(records);
	} while (records_waiting(records) > 0);
	return 0;
}

/* From here to its end the anchor is waited for, and openers wait too. */
static int ask_anchor(struct handover *h, struct assay_err *err)
{
	struct anchor *anchor = h->r->daemon->anchor;
	struct recorder_counts counts;
	int rc = anchor_counts_within(anchor, HANDOVER_ANSWER_MS, &counts);

	if (rc < 0)
		return assay_err_set(err, rc, "the anchor process does not answer");
	if (counts.tpm_lost ||
	    anchor_await(anchor, counts.records, HANDOVER_ANSWER_MS) == -ETIMEDOUT)
		return assay_err_set(err, -EIO, "the TPM does not answer");
	h->due_ns = assay_clock_ns() + HANDOVER_ANSWER_MS * 1000000ull;
	return drain(h, err);
}

static int hold_back(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct daemon *d = r->daemon;
	uint32_t cap = h->floor / 4 * 3;

	if (!h->held.event &&
	    held_init(&h->held, cap < HANDOVER_EVENTS_MAX ? cap : HANDOVER_EVENTS_MAX) < 0)
		return assay_err_set(err, -ENOMEM, "out of memory");
	h->held_ns = assay_clock_ns();
	h->held_back = true;
	reader_hold(r->reader, &h->held);
	let_end(d);
	atomic_store(&d->arrivals.spill, &h->held);
	loop_leave(d->loop, &h->held);
	return 0;
}

/* Nobody has it after that. What its process opens to the end is answered. */
static int give_list(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct daemon *d = r->daemon;
	struct anchor *anchor = d->anchor;
	pid_t pid = anchor_pid(anchor);

	control_pause(r->control);
	daemon_record_all(r);
	h->due_ns = assay_clock_ns() + HANDOVER_ANSWER_MS * 1000000ull;
	if (drain(h, err) < 0)
		return err->code;
	records_pause(d->records); /* whatever is to be recorded waits for the next */
	d->anchor = NULL;
	anchor_stop(anchor, "handover", &(struct anchor_wait){ .wait = handover_wait, .ctx = h });
	assay_fanotify_unexempt(d->group, pid);
	if (assay_clock_ns() > h->due_ns)
		return assay_err_set(err, -EIO, "the TPM does not answer");
	if (handover_say(h, HANDOVER_LIST, 0) < 0)
		return assay_err_set(err, -EPIPE, "the new one ended");
	return handover_await(h, HANDOVER_ANCHORED, ANCHOR_MS, err);
}

/* Openers whose number would be one of the new one's own. */
static void let_rest_go(struct handover *h)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < h->held.n; i++) {
		struct held_event *e = &h->held.event[i];

		if (e->event.fd >= (int)HANDOVER_NUMBER_MIN && e->event.fd < (int)h->floor) {
			h->held.event[left++] = *e;
			continue;
		}
		ledger_add(&h->r->daemon->ledger, LEDGER_STOP, handover_answer_early(h, e), NULL, 0,
			   0);
	}
	h->held.n = left;
}

/* In the ledger, of those that were held: the list is another's. */
static uint32_t take_lost(struct daemon *d, struct ledger_counts *ret)
{
	struct ledger_entry *e = ledger_take(&d->ledger, ret), *next;
	uint64_t sum = 0;

	for (; e; e = next) {
		next = e->next;
		free(e);
	}
	for (unsigned why = 0; why < LEDGER_WHY_COUNT; why++)
		sum += ret->n[why];
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* The list is ours again. */
static void put_lost_back(struct daemon *d, const struct ledger_counts *lost)
{
	for (unsigned why = 0; why < LEDGER_WHY_COUNT; why++)
		for (uint64_t i = 0; i < lost->n[why]; i++)
			ledger_add(&d->ledger, LEDGER_STOP, i >= lost->refused[why], NULL, 0, 0);
}

/* What exempt processes have opened since the list was closed, and nobody measures. */
static uint32_t unmeasured(const struct handover *h)
{
	return (uint32_t)(needed_unmeasured(h->r->daemon->needed) - h->r->gaps.unmeasured_seen);
}

static int send_group(struct handover *h, uint32_t lost)
{
	struct assay_fanotify *group = h->r->daemon->group;
	const struct handover_group g = {
		.tells_errors = assay_fanotify_tells_errors(group),
		.events = h->held.n,
		.lost = lost + unmeasured(h),
		.held_ns = h->held_ns,
		.past = h->past + 1,
	};
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = HANDOVER_GROUP, .n_fds = 1 };

	handover_group_encode(&g, &w);
	m.body = assay_wr_done(&w);
	m.fd[0] = assay_fanotify_fd(group);
	return ipc_send(h->child.socket, &m);
}

static int send_events(struct handover *h, uint32_t first)
{
	uint8_t body[HANDOVER_ONCE * 32];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = HANDOVER_EVENTS };

	for (uint32_t i = first; i < h->held.n && m.n_fds < HANDOVER_ONCE; i++) {
		const struct held_event *e = &h->held.event[i];

		handover_event_encode(&(struct handover_event){ .number = (uint32_t)e->event.fd,
								.tid = e->event.tid,
								.exec = e->event.exec,
								.answered = e->event.answered,
								.arrived_ns = e->arrived_ns },
				      &w);
		m.fd[m.n_fds++] = e->event.fd;
	}
	m.body = assay_wr_done(&w);
	return ipc_send(h->child.socket, &m);
}

/* The reader has ended: nobody reads until the new one does. */
static int give_group(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct ledger_counts lost;
	int rc;

	reader_stop(r->reader);
	r->reader = NULL;
	loop_leave_rest(r->daemon->loop, &h->held);
	let_rest_go(h);
	rc = send_group(h, take_lost(r->daemon, &lost));
	for (uint32_t i = 0; rc == 0 && i < h->held.n; i += HANDOVER_ONCE)
		rc = send_events(h, i);
	if (rc == -EPIPE)
		assay_err_set(err, rc, "the new one ended");
	else if (rc < 0)
		assay_err_set(err, rc, "the group cannot be sent: %s", strerror(-rc));
	else
		rc = handover_await(h, HANDOVER_TAKEN, HANDOVER_TAKE_MS, err);
	if (rc < 0)
		put_lost_back(r->daemon, &lost);
	return rc;
}

int handover_successor(const struct handover *h)
{
	return h->is_to_end ? -1 : fcntl(h->child.pidfd, F_DUPFD_CLOEXEC, 0);
}

/* What we were told and have not done. */
static void pass_signals_on(struct handover *h)
{
	struct signalfd_siginfo info;

	while (read(h->r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		h->is_to_end |= info.ssi_signo != SIGHUP;
		(void)syscall(SYS_pidfd_send_signal, h->child.pidfd, (int)info.ssi_signo, NULL, 0);
	}
}

/* The manager is told while the new one certainly lives: it would end it with us if it knew nothing
 * of it. After that there is no way back. */
static int let_go(struct handover *h, struct assay_err *err)
{
	struct held_event e;

	if (!notify_manager("MAINPID=%d", (int)h->child.pid))
		return assay_err_set(err, -EAGAIN, "the service manager does not listen");
	assay_fanotify_close(h->r->daemon->group);
	(void)!handover_say(h, HANDOVER_GO, 0);
	pass_signals_on(h);
	while (held_take(&h->held, UINT64_MAX, &e))
		close(e.event.fd);
	log_line(LOG_NOTICE, "process %d has taken over", (int)h->child.pid);
	return 0;
}

/* ---- back ------------------------------------------------------------------------------------ */

static void fill_failed(void *ctx, struct assay_wr *w)
{
	assay_state_add(w, "why", assay_bytes_str(ctx));
}

/* All is as before, but that it is said. */
static int fail(struct handover *h, const struct assay_err *why, struct assay_err *err)
{
	struct assay_err text = *why;
	int rc = 0;

	log_line(LOG_ERR, "nothing was handed over, this one goes on: %s", text.text);
	handover_end_child(h);
	if (h->held_back)
		rc = handover_go_back(h, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->lock);
	h->failed++;
	assay_fmt(h->reason, sizeof(h->reason), "%s", text.text);
	pthread_mutex_unlock(&h->lock);
	atomic_store(&h->state, HANDOVER_IDLE);
	daemon_record_gap(h->r->daemon, "handover_failed", fill_failed, text.text);
	return 0;
}

/* ---- for the main thread ----------------------------------------------------------------------
 */

/* Returns 0 if all is given. */
static int hand_over(struct handover *h, struct assay_err *err)
{
	int rc = ask_anchor(h, err);

	if (rc == 0)
		rc = hold_back(h, err);
	if (rc == 0)
		rc = give_list(h, err);
	if (rc == 0)
		rc = give_group(h, err);
	return rc < 0 ? rc : let_go(h, err);
}

/* What has come while all goes on: 1 if it is ready. */
static int look(struct handover *h, struct assay_err *err)
{
	struct pollfd p = { .fd = h->child.socket, .events = POLLIN };
	int rc = 0;

	while (rc >= 0 && rc != HANDOVER_READY && poll(&p, 1, 0) == 1)
		rc = handover_hear(h, err);
	if (rc < 0)
		return rc;
	if (rc == HANDOVER_READY)
		return 1;
	if (rc == HANDOVER_ANCHORED || rc == HANDOVER_TAKEN)
		return assay_err_set(err, -EBADMSG, "the new one is out of step");
	if (assay_clock_ns() > h->due_ns)
		return assay_err_set(err, -ETIMEDOUT, "the new one took too long to prepare");
	return 0;
}

int handover_tend(struct handover *h, struct assay_err *err)
{
	struct assay_err why = { 0 };
	int rc = 0;

	if (h->child.socket < 0) {
		if (atomic_load(&h->state) != HANDOVER_WANTED)
			return 0;
		atomic_store(&h->state, HANDOVER_UNDER_WAY);
		rc = handover_begin(h, &why);
	} else {
		rc = look(h, &why);
		if (rc == 1)
			rc = hand_over(h, &why) == 0 ? 1 : -ECANCELED;
	}
	return rc < 0 ? fail(h, &why, err) : rc;
}
