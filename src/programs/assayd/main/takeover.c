/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "programs/assayd/process/ipc.h"

#define OFFER_MS 5000
#define LIST_MS	 60000 /* the old one's TPM may hang until it gives it up */
#define GROUP_MS 15000
#define GO_MS	 5000
#define END_MS	 10000

struct takeover {
	int socket;
	uint32_t floor;
	bool done;
	struct ipc_buffer in;
};

/* ---- messages ------------------------------------------------------------------------------- */

static int say(struct takeover *t, enum handover_type type, uint64_t id, struct assay_bytes body)
{
	return ipc_send(t->socket, &(struct ipc_message){ .type = type, .id = id, .body = body });
}

/* The next one, which is to be of @type and have @n_fds descriptors (or any number). */
static int hear(struct takeover *t, enum handover_type type, int n_fds, int timeout_ms,
		struct ipc_message *ret)
{
	struct pollfd p = { .fd = t->socket, .events = POLLIN };
	int n, r;

	while ((n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
		;
	if (n == 0)
		return -ETIMEDOUT;
	r = ipc_receive(t->socket, &t->in, ret);
	if (r < 0)
		return r;
	if (ret->type == type && (n_fds < 0 || ret->n_fds == (uint32_t)n_fds))
		return 0;
	ipc_close_fds(ret);
	return -EBADMSG;
}

static int failed(struct assay_err *err, int r, const char *what)
{
	const char *why = r == -EPIPE	  ? "it is gone"
			  : r == -EBADMSG ? "it says what it may not"
					  : strerror(-r);

	return assay_err_set(err, r, "the assayd before did not hand over %s: %s", what, why);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static uint32_t choose_floor(void)
{
	struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur / 2 < HANDOVER_FLOOR ? (uint32_t)limit.rlim_cur / 2 : HANDOVER_FLOOR;
}

/* No number below the floor is free from here on, so that nothing of ours gets one that an event
 * will have. */
static int fill_numbers(struct takeover *t)
{
	AUTO(fd) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	t->floor = choose_floor();
	t->socket = fcntl(HANDOVER_SOCKET, F_DUPFD_CLOEXEC, (int)t->floor);
	if (nothing < 0 || t->socket < 0)
		return -errno;
	for (int i = 0; i < (int)t->floor; i++)
		if (i == nothing || (i != HANDOVER_SOCKET && fcntl(i, F_GETFD) >= 0))
			continue;
		else if (dup3(nothing, i, O_CLOEXEC) < 0)
			return -errno;
	nothing = -1; /* one of them */
	return 0;
}

/* Those that no event took. */
static void empty_numbers(struct takeover *t, const struct held *held)
{
	bool *taken = calloc(t->floor, sizeof(*taken));

	if (!taken)
		return; /* they stay, and are in nobody's way */
	for (uint32_t i = 0; i < held->n; i++)
		taken[held->event[i].event.fd] = true;
	for (uint32_t i = HANDOVER_NUMBER_MIN; i < t->floor; i++)
		if (!taken[i])
			close((int)i);
	free(taken);
}

/* ---- begin ---------------------------------------------------------------------------------- */

static int greet(struct takeover *t, struct assay_err *err)
{
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m;
	int r = hear(t, HANDOVER_OFFER, 0, OFFER_MS, &m);

	if (r < 0)
		return failed(err, r, "anything");
	if (m.id != HANDOVER_VERSION)
		return assay_err_set(err, -EOPNOTSUPP,
				     "the assayd before hands over as version %llu, this one "
				     "takes version %u",
				     (unsigned long long)m.id, HANDOVER_VERSION);
	assay_wr_u32(&w, t->floor);
	r = say(t, HANDOVER_HELLO, HANDOVER_VERSION, assay_wr_done(&w));
	return r < 0 ? failed(err, r, "anything") : 0;
}

int takeover_begin(struct takeover **ret, struct assay_err *err)
{
	struct takeover *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return assay_err_set(err, -ENOMEM, "out of memory");
	t->socket = -1;
	if (fcntl(HANDOVER_SOCKET, F_GETFD) < 0)
		r = assay_err_set(err, -EBADMSG, "nobody is there to take over from");
	else if ((r = fill_numbers(t)) < 0)
		assay_err_set(err, r, "cannot keep descriptors free: %s", strerror(-r));
	else
		r = greet(t, err);
	if (r == 0)
		*ret = t;
	else
		takeover_free(t);
	return r;
}

void takeover_free(struct takeover *t)
{
	if (!t)
		return;
	if (t->socket >= 0)
		close(t->socket);
	free(t);
}

int takeover_exempt(struct takeover *t, pid_t pid)
{
	struct ipc_message m;
	int r = say(t, HANDOVER_EXEMPT, (uint64_t)pid, (struct assay_bytes){ 0 });

	if (r == 0)
		r = hear(t, HANDOVER_DONE, 0, GO_MS, &m);
	if (r == 0 && m.id)
		r = m.id < 4096 ? -(int)m.id : -EBADMSG;
	return r;
}

int takeover_take_list(struct takeover *t, struct assay_err *err)
{
	struct ipc_message m;
	int r = say(t, HANDOVER_READY, 0, (struct assay_bytes){ 0 });

	if (r == 0)
		r = hear(t, HANDOVER_LIST, 0, LIST_MS, &m);
	return r < 0 ? failed(err, r, "the list") : 0;
}

/* ---- the group ------------------------------------------------------------------------------ */

/* To its number; one that is there twice is no event of ours. */
static int place(const struct handover_event *e, int *fd, struct held *held)
{
	const struct held_event h = {
		.event = { .fd = (int)e->number,
			   .tid = e->tid,
			   .exec = e->exec,
			   .answered = e->answered },
		.arrived_ns = e->arrived_ns,
	};

	for (uint32_t i = 0; i < held->n; i++)
		if (held->event[i].event.fd == h.event.fd)
			return -EBADMSG;
	if (!held_put(held, &h))
		return -EBADMSG;
	if (dup3(*fd, h.event.fd, O_CLOEXEC) < 0)
		return -errno;
	close(*fd);
	*fd = -1;
	return 0;
}

static int take_events(struct takeover *t, uint32_t n, struct held *held)
{
	struct handover_event e[HANDOVER_ONCE];
	struct ipc_message m;
	int r = 0;

	while (r == 0 && held->n < n) {
		r = hear(t, HANDOVER_EVENTS, -1, GROUP_MS, &m);
		if (r < 0)
			return r;
		r = handover_events_decode(m.body, m.n_fds, t->floor, e);
		for (uint32_t i = 0; r == 0 && i < m.n_fds; i++)
			r = place(&e[i], &m.fd[i], held);
		ipc_close_fds(&m);
	}
	return r == 0 && held->n != n ? -EBADMSG : r;
}

/* The old one has it until it has heard of us, and only then do we read. Its end is as good. */
static int await_go(struct takeover *t)
{
	struct ipc_message m;
	int r = say(t, HANDOVER_TAKEN, 0, (struct assay_bytes){ 0 });

	if (r == 0)
		r = hear(t, HANDOVER_GO, 0, GO_MS, &m);
	return r == -EPIPE ? 0 : r;
}

int takeover_take_group(struct takeover *t, struct assay_fanotify *group, struct held *held,
			struct handover_group *ret, struct assay_err *err)
{
	struct handover_group g = { 0 };
	struct ipc_message m;
	int r = say(t, HANDOVER_ANCHORED, 0, (struct assay_bytes){ 0 });

	if (r == 0)
		r = hear(t, HANDOVER_GROUP, 1, GROUP_MS, &m);
	if (r < 0)
		return failed(err, r, "the group");
	r = handover_group_decode(m.body, &g);
	if (r == 0)
		r = assay_fanotify_adopt(group, m.fd[0], g.tells_errors, err);
	if (r < 0) {
		ipc_close_fds(&m);
		return failed(err, r, "the group");
	}
	r = take_events(t, g.events, held);
	if (r == 0) {
		empty_numbers(t, held);
		r = await_go(t);
	}
	if (r < 0)
		return failed(err, r, "who waits");
	t->done = true;
	*ret = g;
	return 0;
}

/* ---- the end -------------------------------------------------------------------------------- */

bool takeover_is_done(const struct takeover *t)
{
	return t->done;
}

void takeover_await_end(struct takeover *t)
{
	uint64_t end = assay_clock_ns() + END_MS * 1000000ull, now;
	struct pollfd p = { .fd = t->socket, .events = POLLIN };
	struct ipc_message m = { 0 };

	while ((now = assay_clock_ns()) < end) {
		if (poll(&p, 1, (int)((end - now) / 1000000u) + 1) <= 0)
			continue;
		if (ipc_receive(t->socket, &t->in, &m) == -EPIPE)
			return;
		ipc_close_fds(&m);
	}
}

void takeover_fail(struct takeover *t, const char *why)
{
	size_t len = strlen(why);

	(void)!say(t, HANDOVER_FAILED, 0,
		   assay_bytes(why, len < HANDOVER_REASON_MAX ? len : HANDOVER_REASON_MAX));
}
