/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a scan counts, and how long it waits, with a walker, a loop and a clock that the test plays.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/main/late_scan.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/walker.h"
#include "programs/assayd/process/log.h"

static uint64_t now_ms, step_ms;
static int done_fd, late_error, walker_returns;
static uint32_t n_added, n_done, n_asked, error_after;
static bool is_done_at_once;
static struct maps_file found; /* by the walker; fd -1: it cannot be opened */

/* ---- what late_scan.c calls --------------------------------------------------------------------
 */

uint64_t assay_clock_ms(void)
{
	return now_ms += step_ms;
}

int walker_run(struct walker_job *job, struct assay_err *err)
{
	int r = 0;

	job->n_processes = 1;
	if (found.fd < 0)
		job->unreadable(job->ctx, &found, EAGAIN);
	else
		r = job->each(job->ctx, &found);
	return r < 0 ? r : walker_returns;
}

uint32_t loop_late_left(struct loop *l)
{
	if (++n_asked > 1000) /* who waits for ever is seen to do so */
		n_done = n_added;
	return n_added - n_done;
}

bool loop_has_failed(struct loop *l)
{
	return false;
}

int loop_late_error(struct loop *l)
{
	return n_asked > error_after ? late_error : 0;
}

int loop_late_fd(struct loop *l)
{
	return done_fd;
}

/* Somebody is always done, so that nobody waits for the test. */
int loop_late_add(struct loop *l, int fd, int32_t pid, bool exec)
{
	close(fd);
	n_added++;
	n_done += is_done_at_once;
	return 0;
}

void log_line(int level, const char *fmt, ...)
{
}

/* ------------------------------------------------------------------------------------------------
 */

static struct daemon daemon_of_test;

static struct late_scan begin(const struct late_wanted *wanted)
{
	n_added = n_done = n_asked = error_after = 0;
	now_ms = step_ms = 0;
	late_error = walker_returns = 0;
	is_done_at_once = true;
	found = (struct maps_file){ .fd = -1, .pid = 5, .dev = 7, .ino = 9, .path = "/p" };
	return (struct late_scan){ .daemon = &daemon_of_test, .wanted = wanted };
}

static void a_failure_counts_where_it_is_wanted(void **state)
{
	const struct late_wanted this = { .n = 1, .dev = { 7 } }, other = { .n = 1, .dev = { 8 } };
	struct late_scan s = begin(&this);
	struct assay_err err;

	assert_int_equal(late_scan(&s, &err), 0);
	assert_true(s.n_unreadable == 1 && s.n_missed == 1 && s.missed[0].ino == 9);
	s = begin(&other);
	assert_int_equal(late_scan(&s, &err), 0);
	assert_true(s.n_unreadable == 0 && s.n_missed == 0);
	found.ino = 0; /* none of the process's files are known */
	assert_int_equal(late_scan(&s, &err), 0);
	assert_true(s.n_unreadable == 1);
}

/* Some kernels show an overlay's file with its layer's number, which nobody asked for. */
static void a_failure_counts_where_overlays_are_wanted(void **state)
{
	const struct late_wanted other = { .overlays = true, .n = 1, .dev = { 8 } };
	struct late_scan s = begin(&other);
	struct assay_err err;

	assert_int_equal(late_scan(&s, &err), 0);
	assert_true(s.n_unreadable == 1 && s.n_missed == 1 && s.missed[0].dev == 7);
}

/* However long the digests of what is found take, as users choose. */
static void the_start_is_over_when_its_time_is(void **state)
{
	const struct late_wanted all = { .all = true };
	struct late_scan s = begin(&all);
	struct assay_err err;

	s.max_ms = 60000;
	step_ms = 1000;
	is_done_at_once = false;
	found.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(late_scan(&s, &err), -ETIMEDOUT);
	assert_true(now_ms > 60000 && now_ms < 70000 && s.n_files == 1);
	s = begin(&all);
	s.max_ms = 60000;
	step_ms = 1000;
	found.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(late_scan(&s, &err), 0);
	close(found.fd);
}

static void the_walker_s_limit_is_told_behind_the_digests(void **state)
{
	const struct late_wanted all = { .all = true };
	struct late_scan s = begin(&all);
	struct assay_err err;

	walker_returns = -ETIMEDOUT;
	assert_int_equal(late_scan(&s, &err), -ETIMEDOUT);
	late_error = -ENOSPC;
	assert_int_equal(late_scan(&s, &err), -ENOSPC);
}

static void who_is_to_end_waits_no_more(void **state)
{
	const struct late_wanted all = { .all = true };
	struct late_scan s = begin(&all);
	atomic_bool ends = false;
	struct assay_err err;

	s.ends = &ends;
	is_done_at_once = false;
	found.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ends = true;
	assert_int_equal(late_scan(&s, &err), -ECANCELED);
	close(found.fd);
}

/* As when the loop is handed over meanwhile, and nobody takes it. */
static void what_was_left_out_is_not_measured(void **state)
{
	const struct late_wanted all = { .all = true };
	const struct late_file file = { .pid = 5, .dev = 7, .ino = 9 };
	struct late_scan s = begin(&all);
	struct assay_err err;

	found.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(late_scan_file(&s, &file), LATE_MEASURED);
	late_error = -ECANCELED;
	error_after = n_asked + 1; /* not when it is taken yet */
	assert_int_equal(late_scan_file(&s, &file), LATE_MISSED);
	assert_int_equal(late_scan(&s, &err), -ECANCELED);
	close(found.fd);
}

static int set_up(void **state)
{
	done_fd = eventfd(1, EFD_CLOEXEC | EFD_SEMAPHORE);
	return eventfd_write(done_fd, 1u << 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_counts_where_it_is_wanted),
		cmocka_unit_test(a_failure_counts_where_overlays_are_wanted),
		cmocka_unit_test(the_start_is_over_when_its_time_is),
		cmocka_unit_test(the_walker_s_limit_is_told_behind_the_digests),
		cmocka_unit_test(who_is_to_end_waits_no_more),
		cmocka_unit_test(what_was_left_out_is_not_measured),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
