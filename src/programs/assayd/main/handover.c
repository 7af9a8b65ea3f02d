/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Until the new one says READY all goes on as ever, and its messages are taken between others. From
 * then on openers wait, and each step has its time. Whatever fails before TAKEN is undone: the new
 * one is dead before the old one's anchor is started again, so that there is one at a time.
 */
#include "programs/assayd/main/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/handover_msg.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/reader.h"
#include "programs/assayd/main/startup.h"
#include "programs/assayd/main/successor_args.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define PREPARE_MS   30000
#define UNDER_WAY_MS 2000
#define ANCHOR_MS    15000
#define TAKE_MS	     5000
#define DEATH_MS     5000
#define EXEMPT_MAX   8u
#define ANSWER_MS    5000

struct handover {
	struct running *r;
	struct child child; /* socket -1: nothing is under way */
	uint64_t due_ns;
	uint32_t floor; /* 0: it has not said it */
	pid_t exempt[EXEMPT_MAX];
	size_t n_exempt;
	struct held held;
	uint64_t held_ns;
	bool held_back; /* openers are */
	bool is_to_end; /* the new one */
	struct ipc_buffer in;
	atomic_bool wanted;
	/* For status. */
	pthread_mutex_t lock;
	uint64_t past, failed;
	char reason[HANDOVER_REASON_MAX + 1];
};

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

void handover_want(struct handover *h)
{
	atomic_store(&h->wanted, true);
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
		      "failed", (json_int_t)h->failed, "under_way", h->child.socket >= 0);
	if (j && h->reason[0])
		json_object_set_new(j, "reason", json_string(h->reason));
	pthread_mutex_unlock(&h->lock);
	return j;
}

/* ---- the new one ---------------------------------------------------------------------------- */

static int exempt(struct handover *h, pid_t pid)
{
	int r = h->n_exempt < EXEMPT_MAX ? 0 : -E2BIG;

	if (r == 0)
		r = assay_fanotify_exempt(h->r->daemon->group, pid, NULL);
	if (r == 0)
		h->exempt[h->n_exempt++] = pid;
	return r;
}

static int admit(void *ctx, pid_t pid, int pidfd)
{
	(void)pidfd;
	return exempt(ctx, pid);
}

static int say(struct handover *h, enum handover_type type, uint64_t id)
{
	return ipc_send(h->child.socket, &(struct ipc_message){ .type = type, .id = id });
}

static int begin(struct handover *h, struct assay_err *err)
{
	const struct timeval patience = { .tv_sec = TAKE_MS / 1000 };
	uint8_t *text = malloc(SUCCESSOR_TEXT_MAX);
	struct assay_wr w = assay_wr(text, SUCCESSOR_TEXT_MAX);
	AUTO(fd) int args = -1;
	struct child c;
	int r = text ? successor_args(&w) : -ENOMEM;

	if (r == 0)
		args = r = ipc_sealed(assay_wr_done(&w));
	if (r >= 0)
		log_line(LOG_NOTICE, "'%s' is started, and is to take over", (const char *)text);
	free(text);
	if (r < 0)
		return assay_err_set(err, r, "cannot say how to start it: %s", strerror(-r));
	h->floor = 0;
	h->due_ns = assay_clock_ns() + PREPARE_MS * 1000000ull;
	r = spawner_start(h->r->daemon->spawner, CHILD_SUCCESSOR, &args, 1, admit, h, &c, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	h->child = c;
	pthread_mutex_unlock(&h->lock);
	(void)setsockopt(c.socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if ((r = say(h, HANDOVER_OFFER, HANDOVER_VERSION)) < 0)
		assay_err_set(err, r, "the new one ended at once");
	return r;
}

/* Dead on return, or as good as that. */
static void end_child(struct handover *h)
{
	struct pollfd p = { .fd = h->child.pidfd, .events = POLLIN };

	if (h->child.pidfd >= 0) {
		child_kill(&h->child);
		poll(&p, 1, DEATH_MS);
	}
	pthread_mutex_lock(&h->lock);
	child_close(&h->child);
	pthread_mutex_unlock(&h->lock);
	while (h->n_exempt > 0)
		assay_fanotify_unexempt(h->r->daemon->group, h->exempt[--h->n_exempt]);
}

/* ---- what it says --------------------------------------------------------------------------- */

static int take_failed(struct assay_bytes body, struct assay_err *err)
{
	char text[HANDOVER_REASON_MAX + 1];
	size_t n = body.len < HANDOVER_REASON_MAX ? body.len : HANDOVER_REASON_MAX;

	memcpy(text, body.data, n);
	text[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	return assay_err_set(err, -ECANCELED, "the new one says: %s", text);
}

static int take_hello(struct handover *h, const struct ipc_message *m, struct assay_err *err)
{
	if (m->id != HANDOVER_VERSION || h->floor || handover_floor_decode(m->body, &h->floor) < 0)
		return assay_err_set(err, -EBADMSG, "the new one does not say hello as it should");
	return 0;
}

/* The next message: its type, or -errno with @err. What it may say at any time is done here. */
static int hear(struct handover *h, struct assay_err *err)
{
	struct ipc_message m;
	int r = ipc_receive(h->child.socket, &h->in, &m), is;

	if (r == -EPIPE)
		return assay_err_set(err, r, "the new one ended");
	if (r < 0)
		return assay_err_set(err, r, "the new one says what it may not");
	ipc_close_fds(&m);
	is = (int)m.type;
	switch (m.type) {
	case HANDOVER_HELLO:
		r = take_hello(h, &m, err);
		break;
	case HANDOVER_FAILED:
		r = take_failed(m.body, err);
		break;
	case HANDOVER_EXEMPT:
		r = m.id > 0 && m.id <= INT32_MAX ? exempt(h, (pid_t)m.id) : -EINVAL;
		r = say(h, HANDOVER_DONE, (uint64_t)-r);
		if (r < 0)
			assay_err_set(err, r, "the new one ended");
		break;
	case HANDOVER_READY:
	case HANDOVER_ANCHORED:
	case HANDOVER_TAKEN:
		if (!h->floor)
			r = assay_err_set(err, -EBADMSG, "the new one says no hello");
		break;
	default:
		r = assay_err_set(err, -EBADMSG, "the new one says what it may not");
	}
	return r < 0 ? r : is;
}

/* Until it has said @type. What it has said in time is heard, whenever we come to it. */
static int await(struct handover *h, enum handover_type type, int timeout_ms, struct assay_err *err)
{
	uint64_t end = assay_clock_ns() + (uint64_t)timeout_ms * 1000000u, now;
	struct pollfd p = { .fd = h->child.socket, .events = POLLIN };
	int r = 0, slice;

	for (;;) {
		now = assay_clock_ns();
		slice = now < end ? (int)((end - now) / 1000000u) + 1 : 0;
		notify_manager("WATCHDOG=1");
		if (poll(&p, 1, slice < 1000 ? slice : 1000) == 1)
			r = hear(h, err);
		else if (now >= end)
			return assay_err_set(err, -ETIMEDOUT, "the new one took too long");
		if (r < 0 || r == (int)type)
			return r < 0 ? r : 0;
		if (r == HANDOVER_READY || r == HANDOVER_ANCHORED || r == HANDOVER_TAKEN)
			return assay_err_set(err, -EBADMSG, "the new one is out of step");
		r = 0;
	}
}

/* ---- from one to the other ------------------------------------------------------------------- */

/* What is under way may end. */
static void let_end(struct daemon *d)
{
	uint64_t end = assay_clock_ns() + UNDER_WAY_MS * 1000000ull;

	while (atomic_load(&d->arrivals.held) > loop_idle_left(d->loop) && assay_clock_ns() < end)
		poll(NULL, 0, 1);
}

/* From here to its end the anchor is waited for, and openers wait too. */
static int ask_anchor(struct handover *h, struct assay_err *err)
{
	struct recorder_counts counts;
	int rc = anchor_counts_within(h->r->daemon->anchor, ANSWER_MS, &counts);

	if (rc < 0)
		return assay_err_set(err, rc, "the anchor process does not answer");
	if (counts.tpm_lost || anchor_flush(h->r->daemon->anchor, ANSWER_MS) == -ETIMEDOUT)
		return assay_err_set(err, -EIO, "the TPM does not answer");
	return 0;
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

/* A TPM that hangs now holds up who would go on without it. */
static void while_anchor_ends(void *ctx)
{
	struct handover *h = ctx;
	struct running *r = h->r;

	if (assay_clock_ns() > h->due_ns && r->daemon->conf.on_tpm_loss == ASSAY_CONF_LOSS_RELEASE)
		reader_hurry(r->reader);
}

/* Nobody has it after that. What its process opens to the end is answered. */
static int give_list(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct daemon *d = r->daemon;
	pid_t pid = anchor_pid(d->anchor);

	control_pause(r->control);
	daemon_record_all(r);
	h->due_ns = assay_clock_ns() + ANSWER_MS * 1000000ull;
	anchor_stop(d->anchor, "handover", while_anchor_ends, h);
	assay_fanotify_unexempt(d->group, pid);
	d->anchor = NULL;
	if (assay_clock_ns() > h->due_ns)
		return assay_err_set(err, -EIO, "the TPM does not answer");
	if (say(h, HANDOVER_LIST, 0) < 0)
		return assay_err_set(err, -EPIPE, "the new one ended");
	return await(h, HANDOVER_ANCHORED, ANCHOR_MS, err);
}

static void answer_early(struct handover *h, const struct held_event *e)
{
	struct daemon *d = h->r->daemon;
	bool allow = d->conf.deadline_answer == ASSAY_CONF_ANSWER_ALLOW;

	if (!e->event.answered)
		(void)assay_fanotify_answer(d->group, e->event.fd, allow);
	close(e->event.fd);
}

/* Openers whose number would be one of the new one's own. */
static uint32_t let_rest_go(struct handover *h)
{
	uint32_t left = 0, gone = 0;

	for (uint32_t i = 0; i < h->held.n; i++) {
		struct held_event *e = &h->held.event[i];

		if (e->event.fd >= (int)HANDOVER_NUMBER_MIN && e->event.fd < (int)h->floor) {
			h->held.event[left++] = *e;
			continue;
		}
		answer_early(h, e);
		gone++;
	}
	h->held.n = left;
	return gone;
}

/* In the ledger, of those that were held: the list is another's. */
static uint32_t take_lost(struct daemon *d)
{
	uint64_t n[LEDGER_WHY_COUNT], sum = 0;
	struct ledger_entry *e = ledger_take(&d->ledger, n), *next;

	for (; e; e = next) {
		next = e->next;
		free(e);
	}
	for (unsigned why = 0; why < LEDGER_WHY_COUNT; why++)
		sum += n[why];
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static int send_group(struct handover *h, uint32_t lost)
{
	struct assay_fanotify *group = h->r->daemon->group;
	const struct handover_group g = {
		.tells_errors = assay_fanotify_tells_errors(group),
		.events = h->held.n,
		.lost = lost,
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
	uint32_t lost;
	int rc;

	reader_stop(r->reader);
	r->reader = NULL;
	loop_leave_rest(r->daemon->loop, &h->held);
	lost = let_rest_go(h) + take_lost(r->daemon);
	rc = send_group(h, lost);
	for (uint32_t i = 0; rc == 0 && i < h->held.n; i += HANDOVER_ONCE)
		rc = send_events(h, i);
	if (rc < 0)
		assay_err_set(err, rc, "the group cannot be sent: %s", strerror(-rc));
	else
		rc = await(h, HANDOVER_TAKEN, TAKE_MS, err);
	while (rc < 0 && lost-- > 0)
		ledger_add(&r->daemon->ledger, LEDGER_STOP, NULL, 0, 0);
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
	(void)!say(h, HANDOVER_GO, 0);
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

/* Who was held back is worked on again. */
static int release(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct daemon *d = r->daemon;
	struct held_event e;
	int rc = loop_start(d->loop, anchor_socket(d->anchor), err);

	if (rc < 0)
		return rc;
	reader_stop(r->reader);
	r->reader = NULL;
	atomic_store(&d->arrivals.spill, NULL);
	rc = daemon_start_reader(r, NULL, err);
	while (held_take(&h->held, UINT64_MAX, &e))
		if (!arrivals_put_since(&d->arrivals, &e.event, e.arrived_ns)) {
			answer_early(h, &e);
			ledger_add(&d->ledger, LEDGER_FULL, NULL, 0, 0);
		}
	return rc;
}

/* Its libraries may be others by now. */
static int start_anchor(struct daemon *d, struct assay_err *err)
{
	int rc = daemon_start_anchor(d, err);

	return rc < 0 ? rc : startup_record_self(d, err);
}

static int go_back(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	int rc = 0;

	if (!r->reader)
		rc = daemon_start_reader(r, &h->held, err);
	if (rc == 0 && !r->daemon->anchor)
		rc = start_anchor(r->daemon, err);
	if (rc == 0)
		rc = release(h, err);
	if (rc == 0)
		control_resume(r->control);
	h->held_back = false;
	return rc;
}

/* All is as before, but that it is said. */
static int fail(struct handover *h, const struct assay_err *why, struct assay_err *err)
{
	struct assay_err text = *why;
	int rc = 0;

	log_line(LOG_ERR, "nothing was handed over, this one goes on: %s", text.text);
	end_child(h);
	if (h->held_back)
		rc = go_back(h, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->lock);
	h->failed++;
	assay_fmt(h->reason, sizeof(h->reason), "%s", text.text);
	pthread_mutex_unlock(&h->lock);
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
		rc = hear(h, err);
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
		if (!atomic_exchange(&h->wanted, false))
			return 0;
		rc = begin(h, &why);
	} else {
		atomic_store(&h->wanted, false);
		rc = look(h, &why);
		if (rc == 1)
			rc = hand_over(h, &why) == 0 ? 1 : -ECANCELED;
	}
	return rc < 0 ? fail(h, &why, err) : rc;
}
