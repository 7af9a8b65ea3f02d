/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "backends/audit_linux/subject.h"
#include "base/clock.h"
#include "programs/assayd/audit/audit_ring.h"
#include "programs/assayd/audit/audit_sink.h"

#define RING_SIZE (1u << 20) /* bytes */

struct audit {
	pthread_mutex_t lock;
	pthread_cond_t put_cond;
	bool stopping;
	struct audit_limit limit;
	struct audit_seen seen;
	uint64_t limited, run;
	uint64_t told[AUDIT_SINK_COUNT]; /* of what each sink has lost */
	struct audit_sink sink[AUDIT_SINK_COUNT];
	int stop_fd;
	struct assay_audit self; /* who assayd is */
	char self_space[ASSAY_AUDIT_SUBJECT_SPACE], self_slow[ASSAY_AUDIT_SLOW_SPACE];
	struct audit_ring ring;
	uint8_t line[ASSAY_AUDIT_LINE_MAX], data[RING_SIZE];
};

const char *audit_sink_name(enum audit_sink_kind kind)
{
	static const char *const names[] = { "journal", "kernel_log" };

	return names[kind];
}

/* ---- start and stop ------------------------------------------------------------------------- */

static int start_sinks(struct audit *a, const struct audit_config *config)
{
	const bool wanted[] = { config->journal != NULL, config->kernel_log };
	int r = 0;

	for (unsigned i = 0; r == 0 && i < AUDIT_SINK_COUNT; i++) {
		a->sink[i].audit = a;
		a->sink[i].kind = (enum audit_sink_kind)i;
		a->sink[i].stop_fd = a->stop_fd;
		a->sink[i].path = config->journal;
		if (wanted[i])
			r = audit_sink_start(&a->sink[i]);
	}
	return r;
}

int audit_start(const struct audit_config *config, struct audit **ret, struct assay_err *err)
{
	struct audit *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->put_cond, NULL);
	a->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (a->stop_fd < 0)
		r = -errno;
	a->run = assay_clock_read(CLOCK_REALTIME) / 1000u;
	audit_limit_init(&a->limit, config->rate);
	audit_ring_init(&a->ring, a->data, sizeof(a->data));
	assay_audit_subject(getpid(), a->self_space, &a->self);
	assay_audit_subject_slow(getpid(), a->self_slow, &a->self);
	if (r == 0)
		r = start_sinks(a, config);
	if (r == 0) {
		*ret = a;
		return 0;
	}
	audit_stop(a);
	audit_free(a);
	return assay_err_set(err, r, "cannot start what takes audit records: %s", strerror(-r));
}

void audit_stop(struct audit *a)
{
	if (!a)
		return;
	audit_tick(a, true);
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_cond_broadcast(&a->put_cond);
	pthread_mutex_unlock(&a->lock);
	eventfd_write(a->stop_fd, 1);
	for (unsigned i = 0; i < AUDIT_SINK_COUNT; i++)
		audit_sink_join(&a->sink[i]);
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	close(a->stop_fd);
	pthread_cond_destroy(&a->put_cond);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static const uint64_t self_fields = 1ull << ASSAY_AUDIT_PID | 1ull << ASSAY_AUDIT_UID |
				    1ull << ASSAY_AUDIT_AUID | 1ull << ASSAY_AUDIT_SES |
				    1ull << ASSAY_AUDIT_COMM;

/* ---- in ------------------------------------------------------------------------------------- */

/* With the lock. */
static void put(struct audit *a, struct assay_audit *r)
{
	struct assay_wr w = assay_wr(a->line, sizeof(a->line));

	r->time_us = assay_clock_read(CLOCK_REALTIME) / 1000u;
	assay_audit_set_number(r, ASSAY_AUDIT_SEQ, a->ring.next);
	assay_audit_encode(r, &w);
	audit_ring_put(&a->ring, assay_wr_done(&w));
	pthread_cond_broadcast(&a->put_cond);
}

void audit_put(struct audit *a, struct assay_audit *r)
{
	pthread_mutex_lock(&a->lock);
	put(a, r);
	pthread_mutex_unlock(&a->lock);
}

void audit_put_file(struct audit *a, struct assay_audit *r, const struct audit_seen_entry *e)
{
	pthread_mutex_lock(&a->lock);
	put(a, r);
	audit_seen_add(&a->seen, e);
	pthread_mutex_unlock(&a->lock);
}

enum audit_admission audit_admit(struct audit *a, const struct audit_seen_entry *e, uint32_t rule,
				 uint32_t uid)
{
	enum audit_admission admission = AUDIT_ADMITTED;

	pthread_mutex_lock(&a->lock);
	if (audit_seen_has(&a->seen, e))
		admission = AUDIT_KNOWN;
	else if (!audit_limit_take(&a->limit, rule, uid, assay_clock_ns()))
		admission = AUDIT_LIMITED;
	a->limited += admission == AUDIT_LIMITED;
	pthread_mutex_unlock(&a->lock);
	return admission;
}

void audit_begin(const struct audit *a, const char *op, const char *cause, bool ok,
		 struct assay_audit *ret)
{
	*ret = a->self;
	ret->time_us = assay_clock_read(CLOCK_REALTIME) / 1000u;
	ret->type = ASSAY_AUDIT_TYPE_STATUS;
	ret->have &= self_fields;
	assay_audit_set_text(ret, ASSAY_AUDIT_OP, assay_bytes_str(op));
	assay_audit_set_text(ret, ASSAY_AUDIT_CAUSE, assay_bytes_str(cause));
	assay_audit_set_number(ret, ASSAY_AUDIT_RES, ok);
}

void audit_set_rate(struct audit *a, uint32_t rate)
{
	pthread_mutex_lock(&a->lock);
	audit_limit_set_rate(&a->limit, rate);
	pthread_mutex_unlock(&a->lock);
}

void audit_tick(struct audit *a, bool all)
{
	uint64_t now = all ? UINT64_MAX : assay_clock_ns();
	struct audit_bucket b;
	struct assay_audit r;

	pthread_mutex_lock(&a->lock);
	while (audit_limit_counts(&a->limit, now, &b)) {
		audit_begin(a, "rate_limit", "audit_rate", false, &r);
		r.have &= ~self_fields; /* nobody but the user whose records they are */
		assay_audit_set_number(&r, ASSAY_AUDIT_COUNT, b.limited);
		if (b.rule != AUDIT_OTHERS) {
			assay_audit_set_number(&r, ASSAY_AUDIT_RULE, b.rule);
			assay_audit_set_number(&r, ASSAY_AUDIT_UID, b.uid);
		}
		put(a, &r);
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- out ------------------------------------------------------------------------------------ */

/* With the lock. */
static size_t take(struct audit *a, uint64_t *cursor, uint64_t *missed, char *line, size_t size)
{
	uint64_t next = *cursor ? *cursor : a->ring.first, gone = 0;
	struct assay_bytes got;

	if (!audit_ring_get(&a->ring, &next, &gone, &got) || got.len > size)
		return 0;
	memcpy(line, got.data, got.len);
	*cursor = next;
	*missed += gone;
	return got.len;
}

size_t audit_read(struct audit *a, uint64_t *cursor, uint64_t *missed, char *line, size_t size)
{
	size_t len;

	pthread_mutex_lock(&a->lock);
	len = take(a, cursor, missed, line, size);
	pthread_mutex_unlock(&a->lock);
	return len;
}

size_t audit_wait(struct audit *a, uint64_t *cursor, uint64_t *missed, char *line, size_t size)
{
	size_t len;

	pthread_mutex_lock(&a->lock);
	while (!(len = take(a, cursor, missed, line, size)) && !a->stopping)
		pthread_cond_wait(&a->put_cond, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return len;
}

uint64_t audit_run(const struct audit *a)
{
	return a->run;
}

void audit_counts(struct audit *a, struct audit_counts *ret)
{
	pthread_mutex_lock(&a->lock);
	ret->records = a->ring.next - 1;
	ret->limited = a->limited;
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < AUDIT_SINK_COUNT; i++) {
		ret->sent[i] = atomic_load(&a->sink[i].sent);
		ret->lost[i] = atomic_load(&a->sink[i].lost);
	}
}

bool audit_next_loss(struct audit *a, struct audit_loss *ret)
{
	for (unsigned i = 0; i < AUDIT_SINK_COUNT; i++) {
		uint64_t lost = atomic_load(&a->sink[i].lost);

		if (lost == a->told[i])
			continue;
		ret->sink = (enum audit_sink_kind)i;
		ret->count = lost - a->told[i];
		a->told[i] = lost;
		return true;
	}
	return false;
}
