/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/late.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "formats/batch.h"
#include "programs/assayd/process/log.h"

#define SECOND_NS      1000000000ull
#define INTERVAL_NS    (2 * SECOND_NS)
#define REST	       20u		/* a scan may take one part in so many of the time */
#define PAUSE_MAX_NS   (60 * SECOND_NS) /* but users can make it long */
#define TRIES_MAX      7u /* after 1, 2, 4 ... 64 seconds: longer than the kernel leaves a lease */
#define RECORD_EACH_NS (3600 * SECOND_NS)
#define FAILED_MAX     5u
#define END_NS	       (10 * SECOND_NS)
#define NEVER	       UINT64_MAX

struct late {
	struct daemon *daemon;
	pthread_t thread;
	bool has_thread;
	atomic_bool ends;
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* With the lock. */
	struct late_wanted wanted; /* of scans that did not begin yet */
	bool has_wanted, scans;
	uint64_t next_scan_ns;
	struct late_file missed[LATE_MISSED_MAX];
	uint32_t n_missed;
	bool tries;	   /* one more, which is looked at just now */
	uint64_t n_lost;   /* those that are not tried any more */
	uint32_t n_failed; /* scans one after the other, up to now */
	struct late_news {
		uint64_t scans, processes, files, remote, again, lost, failed;
	} news; /* not recorded yet */
	uint64_t next_record_ns;
	/* The thread's. */
	struct late_scan scan;
	struct late_wanted scanned;
};

/* ---- with the lock -------------------------------------------------------------------------- */

static void lose(struct late *l, uint64_t n)
{
	l->n_lost += n;
	l->news.lost += n;
}

static void miss(struct late *l, const struct late_file *file)
{
	struct late_file *f;

	if (file->tries == TRIES_MAX || l->n_missed == LATE_MISSED_MAX) {
		lose(l, 1);
		return;
	}
	f = &l->missed[l->n_missed++];
	*f = *file;
	f->due_ns = assay_clock_ns() + (SECOND_NS << f->tries);
	f->tries++;
}

static void miss_all(struct late *l, const struct late_scan *s)
{
	for (uint32_t i = 0; i < s->n_missed; i++)
		miss(l, &s->missed[i]);
	lose(l, s->n_unreadable - s->n_missed);
}

/* One whose time has come, and that of no other before it. */
static bool take_missed(struct late *l, uint64_t now, struct late_file *ret)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < l->n_missed; i++)
		if (l->missed[i].due_ns < l->missed[first].due_ns)
			first = i;
	if (l->n_missed == 0 || l->missed[first].due_ns > now)
		return false;
	*ret = l->missed[first];
	l->missed[first] = l->missed[--l->n_missed];
	l->tries = true;
	return true;
}

static void want(struct late *l, uint64_t dev)
{
	struct late_wanted *w = &l->wanted;

	if (w->n < LATE_DEVICES_MAX)
		w->dev[w->n++] = dev;
	else
		w->all = true;
	l->has_wanted = true;
}

/* What the scan was for. */
static void want_again(struct late *l)
{
	for (uint32_t i = 0; i < l->scanned.n; i++)
		want(l, l->scanned.dev[i]);
	l->wanted.all |= l->scanned.all;
	l->wanted.overlays |= l->scanned.overlays;
	l->has_wanted = true;
}

/* While assayd is handed over the loop takes nothing, and lets go what it has: that is no failure
 * if it is the first. */
static void fail_scan(struct late *l, int error, const char *why)
{
	if ((error != -ENOMEM && error != -ECANCELED) || l->n_failed > 0) {
		l->news.failed++;
		log_line(LOG_ERR, "%s; it is tried again", why);
	}
	l->n_failed++;
	want_again(l);
}

static bool take_wanted(struct late *l, uint64_t now)
{
	if (!l->has_wanted || now < l->next_scan_ns)
		return false;
	l->scanned = l->wanted;
	l->wanted = (struct late_wanted){ 0 };
	l->has_wanted = false;
	l->scans = true;
	return true;
}

static uint64_t next_due_ns(const struct late *l)
{
	uint64_t due = l->has_wanted ? l->next_scan_ns : NEVER;

	for (uint32_t i = 0; i < l->n_missed; i++)
		if (l->missed[i].due_ns < due)
			due = l->missed[i].due_ns;
	return due;
}

static void wait(struct late *l)
{
	uint64_t due = next_due_ns(l);
	const struct timespec at = { .tv_sec = (time_t)(due / SECOND_NS),
				     .tv_nsec = (long)(due % SECOND_NS) };

	if (due == NEVER)
		pthread_cond_wait(&l->more, &l->lock);
	else
		pthread_cond_timedwait(&l->more, &l->lock, &at);
}

/* ---- the thread, without it -------------------------------------------------------------------
 */

static void begin(struct late *l)
{
	l->scan =
		(struct late_scan){ .daemon = l->daemon, .wanted = &l->scanned, .ends = &l->ends };
}

/* Behind a scan that took so long; longer behind each that fails. */
static uint64_t pause_ns(const struct late *l, uint64_t took)
{
	uint64_t idle = l->scan.idle_ms * 1000000, work = took - (idle < took ? idle : took);
	uint64_t pause = REST * work > INTERVAL_NS ? REST * work : INTERVAL_NS;

	if (l->n_failed)
		pause += INTERVAL_NS << (l->n_failed < FAILED_MAX ? l->n_failed : FAILED_MAX);
	return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

static void scan(struct late *l)
{
	uint64_t began = assay_clock_ns(), now;
	struct assay_err err = { 0 };
	int r;

	begin(l);
	r = late_scan(&l->scan, &err);
	now = assay_clock_ns();
	pthread_mutex_lock(&l->lock);
	l->scans = false;
	l->news.scans++;
	l->news.processes += l->scan.n_processes;
	l->news.files += l->scan.n_files;
	l->news.remote += l->scan.n_remote;
	if (r == 0) {
		l->n_failed = 0;
		miss_all(l, &l->scan);
	} else if (atomic_load(&l->ends)) {
		want_again(l);
	} else {
		fail_scan(l, r, err.text);
	}
	l->next_scan_ns = now + pause_ns(l, now - began);
	pthread_mutex_unlock(&l->lock);
}

static void try_again(struct late *l, const struct late_file *file)
{
	enum late_outcome outcome;

	begin(l);
	outcome = late_scan_file(&l->scan, file);
	pthread_mutex_lock(&l->lock);
	l->tries = false;
	l->news.again += outcome == LATE_MEASURED;
	if (outcome == LATE_MISSED)
		miss(l, file);
	else
		lose(l, outcome == LATE_GONE);
	pthread_mutex_unlock(&l->lock);
}

static void *run(void *arg)
{
	struct late *l = arg;
	struct late_file file;

	pthread_mutex_lock(&l->lock);
	while (!atomic_load(&l->ends)) {
		uint64_t now = assay_clock_ns();
		bool scans = take_wanted(l, now), tries = !scans && take_missed(l, now, &file);

		if (!scans && !tries) {
			wait(l);
			continue;
		}
		pthread_mutex_unlock(&l->lock);
		if (scans)
			scan(l);
		else
			try_again(l, &file);
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- for others -------------------------------------------------------------------------------
 */

int late_new(struct daemon *d, struct late **ret, struct assay_err *err)
{
	struct late *l = calloc(1, sizeof(*l));
	pthread_condattr_t attr;
	int r;

	if (!l)
		return assay_err_set(err, -ENOMEM, "out of memory");
	l->daemon = d;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->more, &attr);
	pthread_condattr_destroy(&attr);
	r = -pthread_create(&l->thread, NULL, run, l);
	l->has_thread = r == 0;
	if (r < 0) {
		late_free(l);
		return assay_err_set(err, r, "cannot start a thread: %s", strerror(-r));
	}
	*ret = l;
	return 0;
}

/* It waits for nobody longer than a second. One that is not through by then waits in D, as a walker
 * was in an enemy's hands, and is left behind: it looks at nothing of ours any more. */
void late_end(struct late *l)
{
	struct timespec until;

	if (!l || !l->has_thread)
		return;
	pthread_mutex_lock(&l->lock);
	atomic_store(&l->ends, true);
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&l->lock);
	until = assay_clock_at(assay_clock_ns() + END_NS);
	l->has_thread = pthread_clockjoin_np(l->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
}

void late_free(struct late *l)
{
	if (!l || l->has_thread)
		return;
	pthread_cond_destroy(&l->more);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void late_want(struct late *l, uint64_t dev, bool is_overlay)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	want(l, dev);
	l->wanted.overlays |= is_overlay;
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&l->lock);
}

void late_want_all(struct late *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->wanted.all = l->wanted.overlays = l->has_wanted = true;
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&l->lock);
}

void late_want_again(struct late *l, const struct late_scan *s)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	miss_all(l, s);
	pthread_cond_signal(&l->more);
	pthread_mutex_unlock(&l->lock);
}

uint64_t late_unmeasured(struct late *l)
{
	uint64_t n;

	if (!l)
		return 0;
	pthread_mutex_lock(&l->lock);
	n = l->n_lost + l->n_missed + l->tries;
	pthread_mutex_unlock(&l->lock);
	return n;
}

bool late_fails(struct late *l)
{
	bool fails;

	if (!l)
		return false;
	pthread_mutex_lock(&l->lock);
	fails = l->n_failed > 0;
	pthread_mutex_unlock(&l->lock);
	return fails;
}

/* ---- records ----------------------------------------------------------------------------------
 */

static void fill_again(void *ctx, struct assay_wr *w)
{
	const struct late_news *n = ctx;

	assay_state_add_u64(w, "scans", n->scans);
	assay_state_add_u64(w, "processes", n->processes);
	assay_state_add_u64(w, "files", n->files);
	assay_state_add_u64(w, "skipped_remote", n->remote);
	assay_state_add_u64(w, "again", n->again);
}

static void fill_lost(void *ctx, struct assay_wr *w)
{
	const struct late_news *n = ctx;

	assay_state_add_u64(w, "count", n->lost);
}

static void fill_failed(void *ctx, struct assay_wr *w)
{
	const struct late_news *n = ctx;

	assay_state_add_u64(w, "count", n->failed);
}

/* At the end those are lost that were to be tried again, and a scan that was not made has failed;
 * but another assayd that goes on here makes one of all. */
static bool take_news(struct late *l, bool all, struct late_news *ret)
{
	uint64_t now = assay_clock_ns();
	bool is_time, is_news;

	pthread_mutex_lock(&l->lock);
	if (all) {
		lose(l, l->n_missed);
		l->n_missed = 0;
		l->news.failed += atomic_load(&l->ends) && (l->has_wanted || l->scans);
	}
	is_news =
		l->news.files || l->news.remote || l->news.again || l->news.lost || l->news.failed;
	is_time = all || now >= l->next_record_ns;
	if (is_news && is_time) {
		*ret = l->news;
		l->news = (struct late_news){ 0 };
		l->next_record_ns = now + RECORD_EACH_NS;
	}
	pthread_mutex_unlock(&l->lock);
	return is_news && is_time;
}

/* @count: what it stands for, if there is no room for it after all. */
static void put(struct late *l, const char *event, void (*fill)(void *ctx, struct assay_wr *w),
		struct late_news *n, bool gap, uint64_t count)
{
	const struct record what = {
		.event = event, .fill = fill, .ctx = n, .gap = gap, .count = count
	};
	int r = records_put(l->daemon->records, &what);

	if (r == -ENOBUFS)
		log_line(LOG_ERR, "cannot record what was measured late: %s", strerror(-r));
}

void late_record(struct late *l, bool all)
{
	struct late_news n;

	if (!l || !records_have_room(l->daemon->records) || !take_news(l, all, &n))
		return;
	if (n.files || n.remote || n.again)
		put(l, "late-again", fill_again, &n, false, 0);
	if (n.lost)
		put(l, "late-unmeasured", fill_lost, &n, true, n.lost);
	if (n.failed)
		put(l, "late-failed", fill_failed, &n, true, n.failed);
}
