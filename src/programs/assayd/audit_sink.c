/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sink holds one record until it is taken; what comes meanwhile waits in the ring, and what the
 * ring overwrites is lost, counted, and said to the sink once it takes records again.
 */
#include "programs/assayd/audit_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backends/audit_linux/journal.h"
#include "backends/audit_linux/kernel_log.h"
#include "programs/assayd/log.h"

#define RETRY_MS 5000
#define LAST_MS	 2000 /* for what is left when it is time to stop */

struct outlet {
	struct audit_sink *sink;
	struct assay_journal *journal;
	struct assay_kernel_log *kernel;
	bool worked; /* it has taken a record */
	bool told;   /* that it does not */
	bool ended;  /* it never will */
	char line[ASSAY_AUDIT_LINE_MAX], space[ASSAY_AUDIT_LINE_MAX];
};

static int send_record(struct outlet *o, const struct assay_audit *r)
{
	return o->journal ? assay_journal_send(o->journal, r) : assay_kernel_log_send(o->kernel, r);
}

/* False: it is time to stop. */
static bool wait_for(const struct outlet *o, int fd, int timeout_ms)
{
	struct pollfd p[] = {
		{ .fd = o->sink->stop_fd, .events = POLLIN },
		{ .fd = fd, .events = POLLOUT },
	};

	poll(p, 2, timeout_ms);
	return !p[0].revents;
}

/* The same once it is time: what can go within @LAST_MS does. */
static bool wait_last(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return fd >= 0 && poll(&p, 1, LAST_MS) > 0;
}

static void tell_trouble(struct outlet *o, int r)
{
	if (o->told)
		return;
	o->told = true;
	log_line(LOG_NOTICE, "audit records do not go to the %s: %s",
		 audit_sink_name(o->sink->kind), strerror(-r));
}

/* False: it is not taken, and time to stop or no use. */
static bool deliver(struct outlet *o, const struct assay_audit *r)
{
	bool stopping = false;

	for (;;) {
		int rc = send_record(o, r);
		int fd = o->journal ? assay_journal_fd(o->journal) : -1;

		if (rc == 0)
			break;
		if (rc != -EAGAIN)
			tell_trouble(o, rc);
		o->ended = !o->journal && rc != -ETIMEDOUT;
		if (o->ended || rc == -E2BIG || stopping)
			return false;
		if (!wait_for(o, rc == -EAGAIN ? fd : -1, rc == -EAGAIN ? -1 : RETRY_MS)) {
			stopping = true;
			if (!wait_last(fd))
				return false;
		}
	}
	o->worked = true;
	o->told = false;
	atomic_fetch_add(&o->sink->sent, 1);
	return true;
}

/* A sink that was never there has lost nothing. */
static void count_lost(struct outlet *o, uint64_t n)
{
	if (o->worked)
		atomic_fetch_add(&o->sink->lost, n);
}

/* False: it has not got through either. */
static bool tell_lost(struct outlet *o, uint64_t n)
{
	struct assay_audit r;

	audit_begin(o->sink->audit, "audit_lost", audit_sink_name(o->sink->kind), false, &r);
	assay_audit_set_number(&r, ASSAY_AUDIT_COUNT, n);
	return deliver(o, &r);
}

static void run(struct outlet *o)
{
	uint64_t cursor = 0, missed, untold = 0;
	struct assay_audit r;
	struct assay_err err;
	size_t len;

	while (!o->ended) {
		missed = 0;
		len = audit_wait(o->sink->audit, &cursor, &missed, o->line, sizeof(o->line));
		count_lost(o, missed);
		untold += o->worked ? missed : 0;
		if (!len)
			return;
		if (assay_audit_parse(assay_bytes(o->line, len), o->space, sizeof(o->space), &r,
				      &err) < 0) {
			log_line(LOG_ERR, "%s", err.text); /* it is our own */
			continue;
		}
		if (!deliver(o, &r)) {
			count_lost(o, 1);
			untold++;
		} else if (untold && tell_lost(o, untold)) {
			untold = 0;
		}
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
