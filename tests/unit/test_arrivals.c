/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events between two threads: none is lost, none comes twice, in order, and no wake is missed. */
#include "unit/test.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/macros.h"
#include "programs/assayd/main/arrivals.h"
#include "programs/assayd/main/fair.h"

#define EVENTS	    100000
#define PATIENCE_MS 60000

static void *bring(void *arg)
{
	struct arrivals *a = arg;
	struct assay_fanotify_event e[7] = { 0 };

	for (int32_t at = 0; at < EVENTS;) {
		uint32_t n = (uint32_t)(at % 7) + 1;

		for (uint32_t i = 0; i < n; i++)
			e[i].tid = at++;
		assert_true(arrivals_put(a, e, n, false));
	}
	return NULL;
}

/* Returns the last one that came. */
static int32_t take_all(struct arrivals *a, int32_t next)
{
	struct arrival_batch *b, *after;

	for (b = arrivals_take(a); b; b = after) {
		after = b->next;
		for (uint32_t i = 0; i < b->n; i++) {
			assert_int_equal(b->event[i].tid, next++);
			arrivals_drop(a);
		}
		free(b);
	}
	return next;
}

static void none_is_lost(void **state)
{
	struct arrivals a;
	pthread_t thread;
	int32_t next = 0;

	assert_int_equal(arrivals_init(&a, EVENTS), 0);
	assert_int_equal(pthread_create(&thread, NULL, bring, &a), 0);
	while (next < EVENTS) {
		struct pollfd p = { .fd = a.wake_fd, .events = POLLIN };
		eventfd_t unused;

		next = take_all(&a, next);
		if (next < EVENTS && arrivals_may_sleep(&a)) {
			assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
			(void)eventfd_read(a.wake_fd, &unused);
		}
		arrivals_awake(&a);
	}
	pthread_join(thread, NULL);
	assert_true(atomic_load(&a.held) == 0);
	arrivals_done(&a);
}

static void a_closed_one_takes_nothing(void **state)
{
	const struct assay_fanotify_event e = { .fd = -1 };
	struct arrivals a;

	assert_int_equal(arrivals_init(&a, EVENTS), 0);
	atomic_store(&a.closed, true);
	assert_false(arrivals_put(&a, &e, 1, false));
	assert_null(arrivals_take(&a));
	assert_true(atomic_load(&a.held) == 0);
	arrivals_done(&a);
}

static void room_is_told(void **state)
{
	const struct assay_fanotify_event e = { .fd = -1 };
	struct pollfd p = { .events = POLLIN };
	struct arrivals a;

	assert_int_equal(arrivals_init(&a, EVENTS), 0);
	p.fd = a.room_fd;
	assert_true(arrivals_put(&a, &e, 1, false));
	take_all(&a, 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_true(arrivals_put(&a, &e, 1, false));
	atomic_store(&a.room_wanted, true);
	take_all(&a, 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	arrivals_done(&a);
}

/* ---- the queue that is fair ----------------------------------------------------------------- */

struct item {
	struct fair_node node; /* first */
	uint32_t uid;
};

static uint32_t take(struct fair *f)
{
	struct fair_node *n = fair_take(f);

	return n ? ((struct item *)n)->uid : UINT32_MAX;
}

static void users_take_turns(void **state)
{
	struct item many[100], few[2];
	struct fair f = { 0 };
	uint32_t from_few = 0;

	for (unsigned i = 0; i < ARRAY_LEN(many); i++) {
		many[i].uid = 1000;
		fair_put(&f, &many[i].node, 1000);
	}
	for (unsigned i = 0; i < ARRAY_LEN(few); i++) {
		few[i].uid = 1001;
		fair_put(&f, &few[i].node, 1001);
	}
	for (int i = 0; i < 4; i++)
		from_few += take(&f) == 1001;
	assert_int_equal(from_few, 2);
	for (int i = 0; i < 98; i++)
		assert_int_equal(take(&f), 1000);
	assert_int_equal(take(&f), UINT32_MAX);
	assert_int_equal(f.n, 0);
}

static void one_that_is_put_back_is_next(void **state)
{
	struct item item[6];
	struct fair f = { 0 };
	struct fair_node *n;

	for (uint32_t i = 0; i < 6; i++) {
		item[i].uid = i % 3;
		fair_put(&f, &item[i].node, item[i].uid);
	}
	for (int i = 0; i < 6; i++) {
		n = fair_take(&f);
		fair_put_back(&f, n);
		assert_ptr_equal(fair_take(&f), n);
	}
	assert_null(fair_take(&f));
}

static void out_of_the_middle(void **state)
{
	for (unsigned out = 0; out < 3; out++) {
		struct item item[3];
		struct fair f = { 0 };

		for (uint32_t i = 0; i < 3; i++)
			fair_put(&f, &item[i].node, 7);
		fair_remove(&f, &item[out].node);
		assert_int_equal(f.n, 2);
		for (unsigned i = 0; i < 3; i++)
			if (i != out)
				assert_ptr_equal(fair_take(&f), &item[i].node);
		assert_null(fair_take(&f));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_lost),
		cmocka_unit_test(a_closed_one_takes_nothing),
		cmocka_unit_test(room_is_told),
		cmocka_unit_test(users_take_turns),
		cmocka_unit_test(one_that_is_put_back_is_next),
		cmocka_unit_test(out_of_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
