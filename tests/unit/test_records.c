/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's records with a list that the test stalls: who puts does not wait, nothing is in another
 * order, and what finds no room is in the counts. */
#include "unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "formats/batch.h"
#include "programs/assayd/main/records.h"

#define PATIENCE_MS 20000
#define SOON_MS	    50

/* ---- a list -----------------------------------------------------------------------------------
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
/* With the lock: */
static bool stalls, waits; /* it does; somebody waits for it */
static int returns;
static char written[4 * RECORDS_MAX][48];
static size_t n_written;

static _Atomic uint64_t total;
static int wake_fd;

static void stall(void)
{
	pthread_mutex_lock(&lock);
	while (stalls) {
		waits = true;
		pthread_cond_broadcast(&turn);
		pthread_cond_wait(&turn, &lock);
	}
	waits = false;
	pthread_mutex_unlock(&lock);
}

static int write_to_list(void *ctx, const char *event, struct assay_bytes rest, bool gap,
			 struct assay_err *err)
{
	int r;

	stall();
	pthread_mutex_lock(&lock);
	r = returns;
	if (r == 0)
		snprintf(written[n_written++], sizeof(written[0]), "%s:%.*s", event, (int)rest.len,
			 rest.len ? (const char *)rest.data : "");
	pthread_mutex_unlock(&lock);
	return r == 0 ? 0 : assay_err_set(err, r, "it does not");
}

static void set_stalls(bool does)
{
	pthread_mutex_lock(&lock);
	stalls = does;
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&lock);
}

static void wait_until_one_waits(void)
{
	pthread_mutex_lock(&lock);
	while (!waits)
		pthread_cond_wait(&turn, &lock);
	pthread_mutex_unlock(&lock);
}

static struct records *begin(void)
{
	struct records_ops ops = { .write = write_to_list };
	struct records *r;

	n_written = 0;
	stalls = waits = false;
	returns = 0;
	total = 0;
	ops.wake_fd = wake_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(records_new(&ops, &r), 0);
	return r;
}

static struct records *begin_and_run(void)
{
	struct records *r = begin();

	assert_int_equal(records_begin(r), 0);
	return r;
}

static void end(struct records *r)
{
	set_stalls(false);
	records_free(r);
	close(wake_fd);
}

/* One that is written just now, with a list that stalls, so that all others wait behind it. */
static struct records *begin_stalled(void)
{
	struct records *r = begin_and_run();

	set_stalls(true);
	assert_int_equal(records_put(r, &(struct record){ .event = "first" }), 0);
	wait_until_one_waits();
	return r;
}

static void thaw(struct records *r)
{
	set_stalls(false);
	assert_true(records_drain(r, PATIENCE_MS));
}

/* ---- what is put ------------------------------------------------------------------------------
 */

static void fill_number(void *ctx, struct assay_wr *w)
{
	assay_state_add_u64(w, "n", *(const unsigned *)ctx);
}

static void fill_much(void *ctx, struct assay_wr *w)
{
	static char much[4000];

	memset(much, 'x', sizeof(much));
	assay_state_add(w, "path", assay_bytes(much, sizeof(much)));
}

static void fill_too_much(void *ctx, struct assay_wr *w)
{
	fill_much(ctx, w);
	fill_much(ctx, w);
	fill_much(ctx, w);
}

static int put_gap(struct records *r, const char *why, unsigned n)
{
	return records_put(r, &(struct record){ .event = "gap",
						.fill = fill_number,
						.ctx = &n,
						.gap = true,
						.count = 1,
						.key = why ? "why" : NULL,
						.value = why,
						.total = &total });
}

static void assert_written(size_t i, const char *text)
{
	assert_true(i < n_written);
	assert_string_equal(written[i], text);
}

static void assert_in_order(size_t from, unsigned n)
{
	char want[48];

	for (unsigned i = 0; i < n; i++) {
		snprintf(want, sizeof(want), "gap:n=%u;", i);
		assert_written(from + i, want);
	}
}

/* ---- records ----------------------------------------------------------------------------------
 */

static void before_it_runs_who_puts_writes(void **state)
{
	struct records *r = begin();

	assert_int_equal(put_gap(r, NULL, 0), 0);
	assert_int_equal(n_written, 1);
	assert_int_equal(total, 1);
	returns = -ENOSPC;
	assert_int_equal(records_put(r, &(struct record){ .event = "other" }), -ENOSPC);
	assert_int_equal(records_waiting(r), 0);
	end(r);
}

static void who_puts_does_not_wait(void **state)
{
	struct records *r = begin_stalled();

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(put_gap(r, "stop", i), 0);
	assert_int_equal(total, 0); /* who sees the count finds the record */
	assert_int_equal(records_waiting(r), 101);
	assert_false(records_drain(r, SOON_MS));
	thaw(r);
	assert_int_equal(n_written, 101);
	assert_in_order(1, 100);
	assert_int_equal(total, 100);
	end(r);
}

static void what_finds_no_room_is_counted(void **state)
{
	struct records *r = begin_stalled();

	for (unsigned i = 0; i < RECORDS_MAX; i++)
		assert_int_equal(put_gap(r, NULL, i), 0);
	assert_false(records_have_room(r));
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(put_gap(r, "stop", i), 0);
		assert_int_equal(put_gap(r, NULL, i), 0);
	}
	assert_int_equal(put_gap(r, "stop", 0), 0);
	assert_int_equal(records_put(r, &(struct record){ .event = "mine" }), -ENOBUFS);
	thaw(r);
	assert_int_equal(n_written, 1 + RECORDS_MAX + 2);
	assert_int_equal(total, RECORDS_MAX + 15);
	/* In order among themselves, the counts behind half of them. */
	for (size_t i = 1, n = 0, counts = 0; i < n_written; i++) {
		char want[48];

		snprintf(want, sizeof(want), "gap:n=%zu;", n);
		n += strcmp(written[i], want) == 0;
		counts += strcmp(written[i], "gap:why=stop;count=8;") == 0 ||
			  strcmp(written[i], "gap:count=7;") == 0;
		assert_int_equal(n + counts, i);
		assert_true(counts == 0 || n >= RECORDS_MAX / 2);
	}
	end(r);
}

static void bytes_are_bounded_too(void **state)
{
	struct records *r = begin_stalled();
	unsigned n = 0;

	for (; records_have_room(r); n++)
		assert_int_equal(records_put(r, &(struct record){ .event = "gap",
								  .fill = fill_much,
								  .gap = true,
								  .count = 1,
								  .total = &total }),
				 0);
	assert_in_range(n, 10, RECORDS_BYTES_MAX / 4000);
	thaw(r);
	assert_int_equal(total, n);
	assert_true(records_have_room(r));
	end(r);
}

/* However many there are, as users choose them. */
static void kinds_are_bounded_too(void **state)
{
	struct records *r = begin_stalled();
	uint64_t sum = 0;
	char type[16];

	for (unsigned i = 0; i < RECORDS_MAX; i++)
		assert_int_equal(put_gap(r, NULL, i), 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(type, sizeof(type), "fuse.%u", i);
		assert_int_equal(put_gap(r, type, i), 0);
	}
	assert_int_equal(put_gap(r, NULL, 0), 0);
	thaw(r);
	for (size_t i = 1; i < n_written; i++) {
		const char *count = strstr(written[i], "count=");

		sum += count ? strtoull(count + 6, NULL, 10) : 1;
	}
	assert_int_equal(sum, RECORDS_MAX + 1001);
	assert_in_range(n_written, RECORDS_MAX, RECORDS_MAX + 1 + RECORDS_KINDS);
	end(r);
}

static void one_that_is_too_long_counts(void **state)
{
	struct records *r = begin_and_run();
	const struct record gap = {
		.event = "gap", .fill = fill_too_much, .gap = true, .count = 1, .total = &total
	};
	struct record other = gap;

	other.gap = false;
	assert_int_equal(records_put(r, &gap), 0);
	assert_int_equal(records_put(r, &other), -E2BIG);
	assert_true(records_drain(r, PATIENCE_MS));
	assert_written(0, "gap:");
	assert_int_equal(total, 1);
	end(r);
}

static int failed_with;
static uint64_t failed_about;

static void note_failed(void *ctx, uint64_t about, int error)
{
	failed_about = about;
	failed_with = error;
}

static void that_it_was_not_written_is_told(void **state)
{
	const struct record what = { .event = "exempt", .failed = note_failed, .about = 7 };
	struct records *r = begin_and_run();
	eventfd_t unused;

	assert_int_equal(records_put(r, &what), 0);
	assert_true(records_drain(r, PATIENCE_MS));
	returns = -ENOSPC;
	assert_int_equal(records_put(r, &what), 0);
	assert_true(records_drain(r, PATIENCE_MS));
	assert_int_equal(failed_with, 0); /* only by main */
	assert_int_equal(eventfd_read(wake_fd, &unused), 0);
	records_tend(r);
	assert_int_equal(failed_with, -ENOSPC);
	assert_int_equal(failed_about, 7);
	end(r);
}

static void while_there_is_no_list_all_waits(void **state)
{
	struct records *r = begin_and_run();

	assert_true(records_drain(r, PATIENCE_MS));
	records_pause(r);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(put_gap(r, NULL, i), 0);
	assert_false(records_drain(r, SOON_MS));
	assert_int_equal(n_written, 0);
	records_resume(r);
	assert_true(records_drain(r, PATIENCE_MS));
	assert_in_order(0, 3);
	end(r);
}

static void *thaw_soon(void *unused)
{
	usleep(SOON_MS * 1000);
	set_stalls(false); /* as who cuts the line */
	return NULL;
}

/* What it writes just then comes to an end, and the others are not begun with. */
static void at_the_end_nothing_more_is_written(void **state)
{
	struct records *r = begin_stalled();
	pthread_t thread;

	assert_int_equal(put_gap(r, NULL, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, thaw_soon, NULL), 0);
	records_free(r);
	pthread_join(thread, NULL);
	assert_int_equal(n_written, 1);
	close(wake_fd);
}

/* ---- calls ------------------------------------------------------------------------------------
 */

static unsigned n_run, n_done;
static int done_with;

static int run_call(void *ctx, struct assay_err *err)
{
	stall();
	n_run++;
	return ctx ? assay_err_set(err, -EBADMSG, "it is bad") : 0;
}

static void on_done(void *ctx, int error, struct assay_err *err)
{
	n_done++;
	done_with = error;
}

static int call(struct records *r, int timeout_ms, void *ctx, struct assay_err *err)
{
	const struct records_call c = { .run = run_call, .done = on_done, .ctx = ctx };

	return records_run(r, &c, timeout_ms, err);
}

static void a_call_has_its_place(void **state)
{
	struct records *r = begin_and_run();
	struct assay_err err;

	n_run = n_done = 0;
	assert_int_equal(put_gap(r, NULL, 0), 0);
	assert_int_equal(call(r, PATIENCE_MS, NULL, &err), 0);
	assert_int_equal(n_run, 1);
	assert_int_equal(n_written, 1);
	assert_int_equal(call(r, PATIENCE_MS, r, &err), -EBADMSG);
	assert_string_equal(err.text, "it is bad");
	records_tend(r);
	assert_int_equal(n_done, 0); /* somebody has waited */
	end(r);
}

static void one_that_was_not_begun_never_is(void **state)
{
	struct records *r = begin_stalled();
	struct assay_err err;

	n_run = n_done = 0;
	assert_int_equal(put_gap(r, NULL, 0), 0);
	assert_int_equal(call(r, SOON_MS, NULL, &err), -ETIMEDOUT);
	assert_int_equal(put_gap(r, NULL, 1), 0);
	thaw(r);
	assert_int_equal(n_run, 0);
	assert_in_order(1, 2);
	end(r);
}

static void one_that_was_begun_is_told_later(void **state)
{
	struct records *r = begin_and_run();
	struct assay_err err;

	n_run = n_done = 0;
	set_stalls(true);
	assert_int_equal(call(r, SOON_MS, r, &err), -EINPROGRESS);
	assert_int_equal(call(r, SOON_MS, NULL, &err), -EBUSY);
	records_tend(r);
	assert_int_equal(n_done, 0);
	thaw(r);
	assert_int_equal(call(r, SOON_MS, NULL, &err), -EBUSY); /* main has not heard of it */
	records_tend(r);
	assert_int_equal(n_done, 1);
	assert_int_equal(done_with, -EBADMSG);
	assert_int_equal(call(r, PATIENCE_MS, NULL, &err), 0);
	end(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_it_runs_who_puts_writes),
		cmocka_unit_test(who_puts_does_not_wait),
		cmocka_unit_test(what_finds_no_room_is_counted),
		cmocka_unit_test(bytes_are_bounded_too),
		cmocka_unit_test(kinds_are_bounded_too),
		cmocka_unit_test(one_that_is_too_long_counts),
		cmocka_unit_test(that_it_was_not_written_is_told),
		cmocka_unit_test(while_there_is_no_list_all_waits),
		cmocka_unit_test(at_the_end_nothing_more_is_written),
		cmocka_unit_test(a_call_has_its_place),
		cmocka_unit_test(one_that_was_not_begun_never_is),
		cmocka_unit_test(one_that_was_begun_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
