/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/gaps.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/process/log.h"

#define TOO_LARGE "too-large"

static const char *const why_words[LEDGER_WHY_COUNT] = {
	[LEDGER_STOP] = "stop",
	[LEDGER_FULL] = "full",
	[LEDGER_WORKER] = "worker",
};

static void put(struct daemon *d, const struct record *what)
{
	int r = records_put(d->records, what);

	if (r == -ENOBUFS)
		log_line(LOG_ERR, "a gap is not in the list (%s): there is no room for its count",
			 what->event);
}

void daemon_record_gap(struct daemon *d, const char *event,
		       void (*fill)(void *ctx, struct assay_wr *w), void *ctx)
{
	put(d,
	    &(struct record){ .event = event, .fill = fill, .ctx = ctx, .gap = true, .count = 1 });
}

/* So many at once. */
static void put_counted(struct daemon *d, const char *event,
			void (*fill)(void *ctx, struct assay_wr *w), void *ctx, uint64_t count)
{
	put(d, &(struct record){
		       .event = event, .fill = fill, .ctx = ctx, .gap = true, .count = count });
}

static void fill_entry(void *ctx, struct assay_wr *w)
{
	const struct ledger_entry *e = ctx;

	assay_state_add(w, "path", assay_bytes_str(e->path));
	if (e->why == LEDGER_TOO_LARGE)
		assay_state_add_u64(w, "size", e->size);
	else
		assay_state_add_u64(w, "waited_ms", e->waited_ms);
	if (why_words[e->why])
		assay_state_add(w, "why", assay_bytes_str(why_words[e->why]));
}

static void fill_count(void *ctx, struct assay_wr *w)
{
	assay_state_add_u64(w, "count", *(const uint64_t *)ctx);
}

struct counted {
	uint64_t n;
	const char *why; /* NULL: the deadline */
};

static void fill_counted(void *ctx, struct assay_wr *w)
{
	const struct counted *c = ctx;

	assay_state_add_u64(w, "count", c->n);
	if (c->why)
		assay_state_add(w, "why", assay_bytes_str(c->why));
}

/* Who sees the count finds the record. */
static void put_deadline(struct daemon *d, enum ledger_why why, uint64_t count,
			 void (*fill)(void *ctx, struct assay_wr *w), void *ctx)
{
	put(d, &(struct record){ .event = "deadline",
				 .fill = fill,
				 .ctx = ctx,
				 .gap = true,
				 .count = count,
				 .key = why_words[why] ? "why" : NULL,
				 .value = why_words[why],
				 .total = &d->totals.deadlines });
}

static void record_too_large(struct gaps *g, struct daemon *d, struct ledger_entry *e)
{
	if (!tally_add(&g->tally, TOO_LARGE, assay_clock_ns()))
		return;
	audit_late(d, e);
	daemon_record_gap(d, TOO_LARGE, fill_entry, e);
	log_line(LOG_WARNING, "'%s' is too large to be measured: %llu bytes", e->path,
		 (unsigned long long)e->size);
}

/* The audit record does not wait for the list. */
static void record_late(struct daemon *d, struct ledger_entry *e)
{
	audit_late(d, e);
	put_deadline(d, e->why, 1, fill_entry, e);
}

static void record_counted(struct gaps *g, struct daemon *d, bool all)
{
	uint64_t now = all ? UINT64_MAX : assay_clock_ns();
	struct tally_kind k;

	while (records_have_room(d->records) && tally_take(&g->tally, now, &k))
		put_counted(d, TOO_LARGE, fill_count, &k.counted, k.counted);
}

static void record_overflow(struct gaps *g, struct daemon *d)
{
	struct assay_fanotify_counts n;
	uint64_t more;

	assay_fanotify_counts(d->group, &n);
	more = n.overflows - g->overflows_seen;
	if (!more || !records_have_room(d->records))
		return;
	g->overflows_seen = n.overflows;
	log_line(LOG_ERR, "the kernel's event queue overflowed: some opens went unseen");
	put_counted(d, "overflow", fill_count, &more, more);
}

/* Of processes that are exempt: once per call, however many. */
static void record_unmeasured(struct gaps *g, struct daemon *d)
{
	uint64_t now = d->needed ? needed_unmeasured(d->needed) : 0,
		 more = now - g->unmeasured_seen;

	if (now <= g->unmeasured_seen || !records_have_room(d->records))
		return;
	g->unmeasured_seen = now;
	put_counted(d, "exempt-unmeasured", fill_count, &more, more);
}

/* Files without a name were more than the ledger keeps. */
static void record_unnamed(struct gaps *g, struct daemon *d, const struct ledger_counts *n)
{
	for (unsigned why = 0; why < LEDGER_WHY_COUNT; why++) {
		struct counted c = { .n = n->n[why], .why = why_words[why] };

		if (c.n == 0 || why == LEDGER_TOO_LARGE)
			continue;
		if (n->refused[why] < c.n)
			audit_late_count(d, true, c.n - n->refused[why]);
		if (n->refused[why])
			audit_late_count(d, false, n->refused[why]);
		put_deadline(d, why, c.n, fill_counted, &c);
	}
	for (uint64_t i = 0; i < n->n[LEDGER_TOO_LARGE]; i++)
		if (tally_add(&g->tally, TOO_LARGE, assay_clock_ns()))
			daemon_record_gap(d, TOO_LARGE, NULL, NULL);
}

static void record_ledger(struct gaps *g, struct daemon *d)
{
	struct ledger_counts n;
	struct ledger_entry *e = ledger_take(&d->ledger, &n), *next;
	uint64_t sum = 0, too_large = n.n[LEDGER_TOO_LARGE];

	for (unsigned why = 0; why < LEDGER_WHY_COUNT; why++)
		sum += why == LEDGER_TOO_LARGE ? 0 : n.n[why];
	for (; e; e = next) {
		next = e->next;
		if (e->why == LEDGER_TOO_LARGE)
			record_too_large(g, d, e);
		else
			record_late(d, e);
		n.n[e->why]--;
		n.refused[e->why] -= !e->allowed;
		free(e);
	}
	record_unnamed(g, d, &n);
	atomic_fetch_add(&d->totals.early, sum);
	atomic_fetch_add(&d->totals.too_large, too_large);
	if (sum)
		log_line(LOG_WARNING, "%llu openers were answered before their files were measured",
			 (unsigned long long)sum);
}

void gaps_record(struct gaps *g, struct daemon *d, bool all)
{
	record_ledger(g, d);
	record_overflow(g, d);
	record_unmeasured(g, d);
	record_counted(g, d, all);
}
