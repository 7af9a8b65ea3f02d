/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is measured late, with scans that the test makes up and a clock that it sets: one that fails
 * is said, recorded and made again; who cannot be read is tried again, the one that is due first
 * before the others. */
#include "unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/process/log.h"

#define SECOND 1000000000ull

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static _Atomic uint64_t ahead_ns;
static _Atomic int scan_returns;
/* With the lock: */
static unsigned n_scans, n_tried;
static struct late_wanted wanted; /* of the last scan */
static bool all_scanned;
static pid_t tried[8];
static uint32_t n_missed; /* by the next scan */
static char gaps[256];
static bool has_room = true;

/* ---- what late.c calls -------------------------------------------------------------------------
 */

uint64_t assay_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec + atomic_load(&ahead_ns);
}

struct timespec assay_clock_at(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
}

int late_scan(struct late_scan *s, struct assay_err *err)
{
	int r;

	pthread_mutex_lock(&lock);
	wanted = *s->wanted;
	for (; n_missed > 0; n_missed--) {
		s->missed[s->n_missed++] = (struct late_file){ .pid = (pid_t)n_missed };
		s->n_unreadable++;
	}
	r = scan_returns;
	all_scanned |= r == 0 && wanted.all;
	n_scans++;
	pthread_cond_signal(&done);
	pthread_mutex_unlock(&lock);
	return r == 0 ? 0 : assay_err_set(err, r, "it failed");
}

static struct late *asked_meanwhile;
static uint64_t unmeasured_meanwhile;

enum late_outcome late_scan_file(struct late_scan *s, const struct late_file *file)
{
	if (asked_meanwhile)
		unmeasured_meanwhile = late_unmeasured(asked_meanwhile);
	pthread_mutex_lock(&lock);
	tried[n_tried++ % 8] = file->pid;
	pthread_cond_signal(&done);
	pthread_mutex_unlock(&lock);
	return file->pid == 1 ? LATE_GONE : LATE_MEASURED;
}

bool records_have_room(struct records *r)
{
	return has_room;
}

int records_put(struct records *r, const struct record *what)
{
	struct assay_wr w = assay_wr((uint8_t *)gaps, sizeof(gaps) - 1);

	if (!what->gap)
		return 0;
	assay_wr_bytes(&w, assay_bytes_str(what->event));
	what->fill(what->ctx, &w);
	gaps[w.len] = '\0';
	return 0;
}

void log_line(int level, const char *fmt, ...)
{
}

/* ------------------------------------------------------------------------------------------------
 */

static void wait_until(const unsigned *counter, unsigned is)
{
	pthread_mutex_lock(&lock);
	while (*counter < is)
		pthread_cond_wait(&done, &lock);
	pthread_mutex_unlock(&lock);
}

/* The thread, which waits for another time, looks at the clock when something is wanted. */
static void a_minute_later(struct late *l)
{
	atomic_fetch_add(&ahead_ns, 61 * SECOND);
	late_want(l, 5, false);
}

static void wait_for_failing(struct late *l, bool fails)
{
	while (late_fails(l) != fails)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static struct late *begin(void)
{
	static struct daemon d;
	struct late *l;

	n_scans = n_tried = 0;
	all_scanned = false;
	gaps[0] = '\0';
	assert_int_equal(late_new(&d, &l, NULL), 0);
	return l;
}

static void end(struct late *l)
{
	late_end(l);
	late_free(l);
}

static void a_scan_that_fails_is_made_again(void **state)
{
	struct late *l = begin();

	scan_returns = -EBUSY;
	late_want(l, 7, true);
	wait_until(&n_scans, 1);
	wait_for_failing(l, true);
	scan_returns = 0;
	a_minute_later(l);
	wait_until(&n_scans, 2);
	wait_for_failing(l, false);
	assert_true(wanted.n == 2 && wanted.dev[0] == 7 && wanted.dev[1] == 5 && wanted.overlays);
	late_record(l, true);
	assert_string_equal(gaps, "late-failedcount=1;");
	end(l);
}

static void once_is_no_failure(int error)
{
	struct late *l = begin();

	scan_returns = error;
	late_want_all(l);
	wait_until(&n_scans, 1);
	wait_for_failing(l, true);
	late_record(l, true);
	assert_string_equal(gaps, "");
	a_minute_later(l);
	wait_until(&n_scans, 2);
	scan_returns = 0;
	while (a_minute_later(l), late_fails(l))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_true(all_scanned);
	late_record(l, true);
	assert_non_null(strstr(gaps, "late-failedcount="));
	end(l);
}

/* As while assayd is handed over. */
static void no_memory_is_a_failure_if_it_stays(void **state)
{
	once_is_no_failure(-ENOMEM);
	once_is_no_failure(-ECANCELED);
}

/* At the end: what was wanted has not been looked at. */
static void a_scan_that_is_not_made_is_recorded(void **state)
{
	struct late *l = begin();

	scan_returns = -EBUSY;
	late_want(l, 7, false);
	wait_until(&n_scans, 1);
	wait_for_failing(l, true);
	late_record(l, true); /* and somebody may go on here */
	assert_string_equal(gaps, "late-failedcount=1;");
	gaps[0] = '\0';
	late_end(l);
	late_record(l, true);
	assert_non_null(strstr(gaps, "late-failedcount="));
	late_free(l);
}

static void who_cannot_be_read_is_tried_again(void **state)
{
	struct late *l = begin();

	scan_returns = 0;
	n_missed = 3;
	late_want(l, 7, false);
	wait_until(&n_scans, 1);
	while (late_unmeasured(l) != 3)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	asked_meanwhile = l;
	a_minute_later(l);
	wait_until(&n_tried, 3);
	asked_meanwhile = NULL;
	assert_int_equal(unmeasured_meanwhile, 1); /* the last, while it was tried */
	assert_true(tried[0] == 3 && tried[1] == 2 && tried[2] == 1);
	while (late_record(l, true), gaps[0] == '\0')
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_string_equal(gaps, "late-unmeasuredcount=1;");
	assert_int_equal(late_unmeasured(l), 1);
	end(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scan_that_fails_is_made_again),
		cmocka_unit_test(a_scan_that_is_not_made_is_recorded),
		cmocka_unit_test(no_memory_is_a_failure_if_it_stays),
		cmocka_unit_test(who_cannot_be_read_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
