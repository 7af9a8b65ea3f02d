/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sink holds one record until it is taken; what comes meanwhile waits in the ring, and what the
 * ring overwrites is lost, counted, and said to the sink once it takes records again.
 */
#include "programs/assayd/audit/audit_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backends/audit_linux/journal.h"
#include "backends/audit_linux/kernel_log.h"
#include "base/clock.h"
#include "programs/assayd/process/log.h"

#define RETRY_MS 5000
#define LAST_MS	 2000 /* for what is left when it is time to stop */

struct outlet {
	struct audit_sink *sink;
	struct assay_journal *journal;
	struct assay_kernel_log *kernel;
	bool worked;	     /* it has taken a record */
	bool told;	     /* that it does not */
	bool ended;	     /* it never will */
	bool closed;	     /* it is time to stop, and it has not taken what was left in time */
	uint64_t stop_by_ms; /* 0: it is not time */
	uint64_t untold;     /* records that it has lost and was not told of */
	char line[ASSAY_AUDIT_LINE_MAX], space[ASSAY_AUDIT_LINE_MAX];
};

static int send_record(struct outlet *o, const struct assay_audit *r)
{
	return o->journal ? assay_journal_send(o->journal, r) : assay_kernel_log_send(o->kernel, r);
}

/* Until it may take a record (@fd -1: until it is worth trying again). Once it is time to stop, no
 * longer than @LAST_MS for all that is left, and not at all for one that is not there. */
static void wait_for_room(struct outlet *o, int fd)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = POLLOUT },
		{ .fd = o->sink->stop_fd, .events = POLLIN },
	};
	uint64_t now;

	if (!o->stop_by_ms) {
		poll(p, 2, fd < 0 ? RETRY_MS : -1);
		if (!p[1].revents)
			return;
		o->stop_by_ms = assay_clock_ms() + LAST_MS;
	}
	now = assay_clock_ms();
	o->closed = fd < 0 || now >= o->stop_by_ms || poll(p, 1, (int)(o->stop_by_ms - now)) <= 0;
}

static void tell_trouble(struct outlet *o, int r)
{
	if (o->told)
		return;
	o->told = true;
	log_line(LOG_NOTICE, "audit records do not go to the %s: %s",
		 audit_sink_name(o->sink->kind), strerror(-r));
}

/* False: it is not taken, and will not be. */
static bool deliver(struct outlet *o, const struct assay_audit *r)
{
	int rc = 0, fd;

	while (!o->closed && !o->ended) {
		rc = send_record(o, r);
		if (rc == 0 || rc == -E2BIG)
			break;
		if (rc != -EAGAIN)
			tell_trouble(o, rc);
		fd = o->journal ? assay_journal_fd(o->journal) : -1;
		/* The kernel does not change its mind about who may write to its log. */
		o->ended = o->kernel && !o->worked && rc != -ETIMEDOUT;
		if (!o->ended)
			wait_for_room(o, rc == -EAGAIN ? fd : -1);
	}
	if (o->closed || o->ended || rc < 0)
		return false;
	if (!o->worked)
		atomic_fetch_add(&o->sink->lost, o->untold);
	o->worked = true;
	o->told = false;
	atomic_fetch_add(&o->sink->sent, 1);
	return true;
}

/* One that was never there has lost nothing; once it is, what it did not get counts. */
static void lose(struct outlet *o, uint64_t n)
{
	o->untold += n;
	if (o->worked)
		atomic_fetch_add(&o->sink->lost, n);
}

static void tell_lost(struct outlet *o)
{
	struct assay_audit r;

	audit_begin(o->sink->audit, "audit_lost", audit_sink_name(o->sink->kind), false, &r);
	assay_audit_set_number(&r, ASSAY_AUDIT_COUNT, o->untold);
	if (deliver(o, &r))
		o->untold = 0;
}

static void run(struct outlet *o)
{
	uint64_t cursor = 1, missed; /* the first: what is overwritten before we run is lost, too */
	struct assay_audit r;
	struct assay_err err;
	size_t len;

	while (!o->ended) {
		missed = 0;
		len = audit_wait(o->sink->audit, &cursor, &missed, o->line, sizeof(o->line));
		lose(o, missed);
		if (o->untold)
			tell_lost(o);
		if (!len)
			return;
		if (assay_audit_parse(assay_bytes(o->line, len), o->space, sizeof(o->space), &r,
				      &err) < 0)
			log_line(LOG_ERR, "%s", err.text); /* it is our own */
		else if (!deliver(o, &r))
			lose(o, 1);
	}
}

static int open_outlet(struct outlet *o)
{
	if (o->sink->kind == AUDIT_SINK_JOURNAL)
		return assay_journal_new(o->sink->path, &o->journal);
	return assay_kernel_log_new(&o->kernel);
}

static void *run_sink(void *arg)
{
	struct outlet *o = calloc(1, sizeof(*o));
	int r = -ENOMEM;

	if (!o) {
		log_line(LOG_ERR, "audit records: out of memory");
		return NULL;
	}
	o->sink = arg;
	r = open_outlet(o);
	if (r < 0)
		tell_trouble(o, r);
	else
		run(o);
	assay_journal_free(o->journal);
	assay_kernel_log_free(o->kernel);
	free(o);
	return NULL;
}

int audit_sink_start(struct audit_sink *s)
{
	int r = -pthread_create(&s->thread, NULL, run_sink, s);

	s->runs = r == 0;
	return r;
}

void audit_sink_join(struct audit_sink *s)
{
	if (s->runs)
		pthread_join(s->thread, NULL);
	s->runs = false;
}
