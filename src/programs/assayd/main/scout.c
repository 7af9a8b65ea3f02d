/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/scout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/source_fanotify/mount_events.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define INTERVAL_NS 2000000000ull
#define REST	    20u /* a pass may take one part in so many of the time */
#define WOKEN_REST  9u	/* the same for those that a mount began */
#define WOKEN_NS    100000000ull
#define HANG_NS	    2000000000ull  /* without a word */
#define PROCESS_NS  1000000000ull  /* the same, at a process that was told: nothing to wait for */
#define TRIAL_NS    60000000000ull /* between two tries of places that hung, while they do */
#define LATE_NS	    10000000000ull /* behind its time: somebody must look at it */
#define BATCH	    256		   /* messages taken in one go: others want the thread, too */

struct scout_link {
	struct spawner *spawner;
	const struct scout_ops *ops;
	void *ctx;
	struct child child; /* socket -1: it could not be started again */
	struct assay_mount_events *events;
	bool looking;
	bool woken; /* something was mounted, or may have been, behind this pass's begin */
	uint64_t began_ns, next_ns, rested_ns;	 /* before that none begins, whoever was woken */
	uint64_t silent_ns, counted_ns;		 /* so long without a word, as of then */
	struct scout_place last;		 /* where it looks */
	struct scout_place skip[SCOUT_SKIP_MAX]; /* those that hung; the one of longest ago first */
	uint32_t n_skip;
	bool trial; /* skip[0] is not left out in this pass */
	uint64_t next_trial_ns;
	bool hung_nowhere; /* the last pass: the next one is to say each process */
	/* Read by any thread. */
	_Atomic uint32_t namespaces, filesystems;
	_Atomic uint32_t places, processes; /* of those in skip */
	_Atomic uint64_t window_ns,
		whole_ns; /* of the last whole pass: what it promised, its begin */
	_Atomic uint32_t marked;
	_Atomic uint64_t marked_window_ns, waiting_ns; /* since a mount waits for a pass; 0: none */
};

static int start(struct scout_link *s, struct assay_err *err)
{
	int r = spawner_start(s->spawner, CHILD_SCOUT, NULL, 0, NULL, NULL, &s->child, err);

	if (r == 0)
		fcntl(s->child.socket, F_SETFL, O_NONBLOCK);
	return r;
}

int scout_new(struct spawner *spawner, const struct scout_ops *ops, void *ctx,
	      struct scout_link **ret, struct assay_err *err)
{
	struct scout_link *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return assay_err_set(err, -ENOMEM, "out of memory");
	s->spawner = spawner;
	s->ops = ops;
	s->ctx = ctx;
	s->child = (struct child){ .pidfd = -1, .socket = -1 };
	s->whole_ns = assay_clock_ns();
	r = assay_mount_events_new(&s->events) < 0 ? assay_err_set(err, -ENOMEM, "out of memory")
						   : start(s, err);
	if (r < 0)
		scout_free(s);
	else
		*ret = s;
	return r;
}

void scout_free(struct scout_link *s)
{
	if (!s)
		return;
	child_close(&s->child);
	assay_mount_events_free(s->events);
	free(s);
}

int scout_fd(const struct scout_link *s)
{
	return s->child.socket;
}

/* Not while a pass is to begin anyway: who mounts all the time wakes nobody more often. */
int scout_events_fd(const struct scout_link *s)
{
	return s->woken ? -1 : assay_mount_events_fd(s->events);
}

void scout_wake(struct scout_link *s, uint64_t now_ns)
{
	s->woken = true;
	if (s->waiting_ns == 0)
		s->waiting_ns = now_ns;
}

int scout_pause(const struct scout_link *s, uint64_t now_ns, int ms)
{
	uint64_t left_ns = s->rested_ns > now_ns ? s->rested_ns - now_ns : 0;
	uint64_t left_ms = (left_ns + 999999u) / 1000000u;

	return s->woken && !s->looking && left_ms < (uint64_t)ms ? (int)left_ms : ms;
}

bool scout_is_looking(const struct scout_link *s)
{
	return s->looking;
}

void scout_hurry(struct scout_link *s)
{
	s->next_ns = 0;
}

void scout_get_state(const struct scout_link *s, struct scout_state *ret)
{
	uint64_t now_ns = assay_clock_ns(), age_ns = now_ns - s->whole_ns;
	uint64_t waiting_ns = s->waiting_ns;

	ret->namespaces = s->namespaces;
	ret->filesystems = s->filesystems;
	ret->hung = s->places;
	ret->hung_processes = s->processes;
	ret->window_ns = s->window_ns;
	ret->is_late = age_ns > ret->window_ns + LATE_NS;
	if (age_ns > ret->window_ns)
		ret->window_ns = age_ns;
	ret->marked = s->marked;
	ret->marked_window_ns = ret->marked ? s->marked_window_ns : ret->window_ns;
	if (waiting_ns && now_ns - waiting_ns > ret->marked_window_ns)
		ret->marked_window_ns = now_ns - waiting_ns;
}

/* Another one, in a while; this pass is lost. */
static void replace(struct scout_link *s, const char *why)
{
	struct assay_err err;

	log_line(LOG_WARNING, "the search in other mount namespaces %s: it begins again", why);
	child_kill(&s->child);
	child_close(&s->child);
	s->looking = false;
	s->next_ns = s->rested_ns = assay_clock_ns() + INTERVAL_NS;
	if (start(s, &err) < 0)
		log_line(LOG_ERR, "other mount namespaces are not searched: %s", err.text);
}

/* ---- what it says --------------------------------------------------------------------------- */

static int take_mount(struct scout_link *s, const struct ipc_message *m)
{
	struct scout_mount mount;

	if (scout_mount_parse(m->body, &mount) < 0 || m->n_fds != (m->type == SCOUT_FOUND))
		return -EBADMSG;
	if (m->type == SCOUT_FOUND)
		s->ops->found(s->ctx, &mount, m->fd[0], NULL);
	else if (m->type == SCOUT_REMOTE)
		s->ops->found(s->ctx, &mount, -1, "another process or machine answers for it");
	else
		s->ops->found(s->ctx, &mount, -1, strerror((int)mount.error));
	return 0;
}

static int take_namespace(struct scout_link *s, const struct ipc_message *m)
{
	struct scout_place place;

	if (!s->looking || scout_place_parse(m->body, &place) < 0 || m->n_fds != 1)
		return -EBADMSG;
	assay_mount_events_mark(s->events, place.ns, m->fd[0]);
	return 0;
}

static bool is_process(const struct scout_place *place)
{
	return place->ns == 0 && place->id != 0;
}

static void count_skips(struct scout_link *s)
{
	uint32_t processes = 0;

	for (uint32_t i = 0; i < s->n_skip; i++)
		processes += is_process(&s->skip[i]);
	s->processes = processes;
	s->places = s->n_skip - processes;
}

static void drop_first_skip(struct scout_link *s)
{
	memmove(s->skip, s->skip + 1, --s->n_skip * sizeof(*s->skip));
	count_skips(s);
}

/* When the next one may begin; and what that promises. */
static void rest(struct scout_link *s, uint64_t now)
{
	uint64_t took = now - s->began_ns;
	uint64_t pause = REST * took > INTERVAL_NS ? REST * took : INTERVAL_NS;
	uint64_t woken = WOKEN_REST * took > WOKEN_NS ? WOKEN_REST * took : WOKEN_NS;

	s->next_ns = now + pause;
	s->rested_ns = now + woken;
	s->window_ns = pause + 2 * took;
	s->marked_window_ns = woken + 2 * took;
	s->whole_ns = s->began_ns;
	if (assay_mount_events_end(s->events))
		s->woken = true;
	s->marked = assay_mount_events_marked(s->events);
	s->waiting_ns = s->woken ? s->began_ns : 0;
}

static int end_pass(struct scout_link *s, const struct ipc_message *m)
{
	struct scout_summary summary;

	if (!s->looking || scout_summary_parse(m->body, &summary) < 0)
		return -EBADMSG;
	s->looking = s->hung_nowhere = false;
	if (s->trial)
		drop_first_skip(s);
	rest(s, assay_clock_ns());
	s->namespaces = summary.namespaces;
	s->filesystems = summary.filesystems;
	s->ops->done(s->ctx);
	return 0;
}

static int take(struct scout_link *s, const struct ipc_message *m)
{
	switch (m->type) {
	case SCOUT_LOOKING:
		return scout_place_parse(m->body, &s->last);
	case SCOUT_FOUND:
	case SCOUT_REMOTE:
	case SCOUT_FAILED:
		s->last = (struct scout_place){ 0 };
		return s->looking ? take_mount(s, m) : -EBADMSG;
	case SCOUT_NAMESPACE:
		return take_namespace(s, m);
	case SCOUT_DONE:
		return end_pass(s, m);
	default:
		return -EBADMSG;
	}
}

static void heard(struct scout_link *s, uint64_t now_ns)
{
	s->silent_ns = 0;
	s->counted_ns = now_ns;
}

void scout_receive(struct scout_link *s)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r = 0;

	for (int i = 0; r == 0 && i < BATCH && s->child.socket >= 0; i++) {
		r = ipc_receive(s->child.socket, &buffer, &m);
		if (r < 0)
			break;
		heard(s, assay_clock_ns());
		r = take(s, &m);
		ipc_close_fds(&m);
	}
	if (r == -EPIPE)
		replace(s, "ended");
	else if (r == -EBADMSG)
		replace(s, "said what it may not");
}

/* ---- when ----------------------------------------------------------------------------------- */

static void begin_pass(struct scout_link *s, uint64_t now)
{
	uint8_t body[SCOUT_SKIP_MAX * 12];
	struct assay_wr w = assay_wr(body, sizeof(body));
	bool each = s->hung_nowhere || s->processes > 0;
	struct ipc_message m = { .type = each ? SCOUT_SCAN_EACH : SCOUT_SCAN };

	s->trial = s->n_skip > 0 && now >= s->next_trial_ns;
	scout_skips_encode(s->skip + s->trial, s->n_skip - s->trial, &w);
	m.body = assay_wr_done(&w);
	s->began_ns = now;
	s->woken = false;
	assay_mount_events_begin(s->events);
	heard(s, now);
	s->last = (struct scout_place){ 0 };
	if (ipc_send(s->child.socket, &m) == 0)
		s->looking = true;
	else
		replace(s, "ended");
}

static bool is_same(const struct scout_place *a, const struct scout_place *b)
{
	return a->ns == b->ns && a->id == b->id;
}

/* The newest places are kept: who makes many that hang must keep them all. One that hangs
 * again is the newest, so that the others are tried before it; no trial comes right behind it. */
static void skip_last(struct scout_link *s)
{
	const struct scout_place last = s->last, nowhere = { 0 };

	if (s->trial || s->n_skip == 0)
		s->next_trial_ns = assay_clock_ns() + TRIAL_NS;
	s->hung_nowhere = is_same(&last, &nowhere);
	if (s->hung_nowhere)
		return;
	if (s->n_skip == SCOUT_SKIP_MAX || (s->trial && is_same(&s->skip[0], &last)))
		drop_first_skip(s);
	s->skip[s->n_skip++] = last;
	count_skips(s);
}

/* Behind a process the next pass begins at once: a user may have more of that kind. */
static void end_hang(struct scout_link *s, uint64_t now_ns)
{
	char why[64];

	skip_last(s);
	if (s->last.ns != 0) {
		replace(s, "waits for a filesystem that does not answer");
		return;
	}
	assay_fmt(why, sizeof(why), "waits for process %u, which keeps who looks at it",
		  s->last.id);
	replace(s, s->last.id ? why : "hangs");
	s->next_ns = now_ns;
}

/* Two thirds of the limit pass at once at most: who stood still together with main, or the machine,
 * did not hang. */
static bool hangs(struct scout_link *s, uint64_t now_ns)
{
	uint64_t limit = is_process(&s->last) ? PROCESS_NS : HANG_NS;

	s->silent_ns += assay_clock_step(&s->counted_ns, now_ns, limit * 2 / 3);
	return s->silent_ns > limit;
}

static bool is_due(const struct scout_link *s, uint64_t now_ns)
{
	return now_ns >= s->next_ns || (s->woken && now_ns >= s->rested_ns);
}

void scout_tick(struct scout_link *s, uint64_t now_ns)
{
	if (s->looking && hangs(s, now_ns)) {
		end_hang(s, now_ns);
	} else if (!s->looking && is_due(s, now_ns)) {
		if (s->child.socket >= 0)
			begin_pass(s, now_ns);
		else
			replace(s, "could not go on");
	}
}
