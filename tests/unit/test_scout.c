/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side of the scout, with a scout that the test plays and a clock that it sets: which places
 * are left out, and for how long; and when what is mounted elsewhere begins one before its time. */
#include "unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "backends/source_fanotify/mount_events.h"
#include "base/clock.h"
#include "programs/assayd/main/scout.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define SECOND 1000000000ull
#define HANG   (3 * SECOND)
#define MINUTE (60 * SECOND)

static uint64_t now = SECOND;
static int scout_end = -1;
static struct scout_link *scout;
static struct scout_place left_out[SCOUT_SKIP_MAX];
static uint32_t n_left_out;
static bool says_each; /* process, in this pass */
/* Of the kernel, which tells of mounts; -1: it is an old one. */
static int events_fd;
static uint32_t n_marked, n_drained;
static bool met_new;

/* ---- what scout.c calls ------------------------------------------------------------------------
 */

uint64_t assay_clock_ns(void)
{
	return now;
}

int spawner_start(struct spawner *s, enum child_role role, const int *fds, size_t n_fds,
		  int (*admit)(void *ctx, pid_t pid, int pidfd), void *ctx, struct child *ret,
		  struct assay_err *err)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	scout_end = pair[1];
	*ret = (struct child){ .pidfd = -1, .socket = pair[0] };
	return 0;
}

void child_kill(const struct child *c)
{
}

void child_close(struct child *c)
{
	close(c->socket);
	close(scout_end);
	c->socket = -1;
}

void log_line(int level, const char *fmt, ...)
{
}

int assay_mount_events_new(struct assay_mount_events **ret)
{
	*ret = NULL;
	return 0;
}

void assay_mount_events_free(struct assay_mount_events *e)
{
}

int assay_mount_events_fd(const struct assay_mount_events *e)
{
	return events_fd;
}

void assay_mount_events_begin(struct assay_mount_events *e)
{
	n_drained++;
	n_marked = 0;
}

void assay_mount_events_mark(struct assay_mount_events *e, uint64_t ns, int fd)
{
	assert_true(fd >= 0);
	n_marked += events_fd >= 0;
}

bool assay_mount_events_end(struct assay_mount_events *e)
{
	return met_new;
}

uint32_t assay_mount_events_marked(const struct assay_mount_events *e)
{
	return n_marked;
}

static void on_found(void *ctx, const struct scout_mount *m, int fd, const char *reason)
{
}

static void on_done(void *ctx)
{
}

/* ---- the scout ---------------------------------------------------------------------------------
 */

static void say(enum scout_message type, struct assay_bytes body)
{
	const struct ipc_message m = { .type = type, .body = body };

	assert_int_equal(ipc_send(scout_end, &m), 0);
	scout_receive(scout);
}

/* A pass begins, as soon as one may. */
static void begin(void)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;

	for (int i = 0; !scout_is_looking(scout); i++) {
		assert_true(i < 100);
		now += SECOND / 10;
		scout_tick(scout, now);
	}
	assert_int_equal(ipc_receive(scout_end, &buffer, &m), 0);
	says_each = m.type == SCOUT_SCAN_EACH;
	assert_true(says_each || m.type == SCOUT_SCAN);
	assert_int_equal(scout_skips_parse(m.body, left_out, &n_left_out), 0);
}

static void end(void)
{
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));

	scout_summary_encode(&(struct scout_summary){ .namespaces = 1 }, &w);
	say(SCOUT_DONE, assay_wr_done(&w));
	assert_false(scout_is_looking(scout));
}

static void wait_in_vain(uint64_t ns)
{
	for (uint64_t end = now + ns; now < end && scout_is_looking(scout);) {
		now += SECOND / 2;
		scout_tick(scout, now);
	}
}

static void say_place(uint64_t ns, uint32_t id)
{
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));

	scout_place_encode(&(struct scout_place){ ns, id }, &w);
	say(SCOUT_LOOKING, assay_wr_done(&w));
}

static void hang_at(uint64_t ns, uint32_t id)
{
	say_place(ns, id);
	wait_in_vain(HANG);
	assert_false(scout_is_looking(scout));
}

static void say_namespace(uint64_t ns)
{
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = SCOUT_NAMESPACE, .n_fds = 1, .fd = { STDERR_FILENO } };

	scout_place_encode(&(struct scout_place){ .ns = ns }, &w);
	m.body = assay_wr_done(&w);
	assert_int_equal(ipc_send(scout_end, &m), 0);
	scout_receive(scout);
}

/* A pass of @took, with one namespace. */
static void pass(uint64_t took)
{
	begin();
	say_namespace(7);
	now += took;
	end();
}

static struct scout_state state_of(void)
{
	struct scout_state state;

	scout_get_state(scout, &state);
	return state;
}

static uint32_t hung(void)
{
	return state_of().hung;
}

static int set_up(void **state)
{
	static const struct scout_ops ops = { .found = on_found, .done = on_done };

	events_fd = -1;
	n_marked = n_drained = 0;
	met_new = false;
	return scout_new(NULL, &ops, NULL, &scout, NULL);
}

static int tear_down(void **state)
{
	scout_free(scout);
	return 0;
}

/* Passes until @ns is not left out in one; how many. */
static uint32_t passes_until_tried(uint64_t ns)
{
	for (uint32_t n = 0; n < 1000; n++) {
		bool is_left_out = false;

		begin();
		for (uint32_t i = 0; i < n_left_out; i++)
			is_left_out |= left_out[i].ns == ns;
		if (!is_left_out)
			return n;
		end();
	}
	fail_msg("it is left out for good");
	return 0;
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void a_place_that_answers_again_is_looked_at(void **state)
{
	uint64_t hung_ns;

	begin();
	hang_at(7, 1);
	hung_ns = now;
	assert_true(passes_until_tried(7) > 0);
	assert_true(now - hung_ns >= MINUTE && now - hung_ns < 2 * MINUTE);
	assert_int_equal(hung(), 1); /* it is not known yet */
	end();
	assert_int_equal(hung(), 0);
	begin();
	assert_int_equal(n_left_out, 0);
}

static void one_that_hangs_costs_a_pass_a_minute(void **state)
{
	uint32_t passes = 0, lost = 0;
	uint64_t began;

	begin();
	hang_at(7, 1);
	for (began = now; now - began < 10 * MINUTE; passes++) {
		begin();
		if (n_left_out == 0) {
			hang_at(7, 1);
			lost++;
		} else {
			end();
		}
		assert_int_equal(hung(), 1);
	}
	assert_true(lost >= 8 && lost <= 10);
	assert_true(passes > 100);
}

/* Each in its turn; where the first hangs again the next one is tried before it. */
static void all_are_tried(void **state)
{
	for (uint32_t id = 1; id <= 3; id++) {
		begin();
		hang_at(10 + id, id);
	}
	passes_until_tried(11);
	hang_at(11, 1);
	passes_until_tried(12);
	end();
	begin(); /* at once, as that one answered */
	assert_int_equal(n_left_out, 1);
	assert_true(left_out[0].ns == 11);
	end();
	assert_int_equal(hung(), 1);
}

static void the_newest_are_kept(void **state)
{
	for (uint32_t id = 1; id <= SCOUT_SKIP_MAX + 2; id++) {
		begin();
		hang_at(100, id);
	}
	assert_int_equal(hung(), SCOUT_SKIP_MAX);
	begin();
	for (uint32_t i = 0; i < n_left_out; i++)
		assert_true(left_out[i].id > 2);
}

/* A pass that hangs and has not said where: the next one says each process, at once. */
static void a_process_that_keeps_it_is_left_out(void **state)
{
	begin();
	assert_false(says_each);
	hang_at(0, 0);
	assert_int_equal(hung(), 0);
	scout_tick(scout, now);
	assert_true(scout_is_looking(scout));
	begin();
	assert_true(says_each);
	assert_int_equal(n_left_out, 0);
	hang_at(0, 1234);
	assert_int_equal(hung(), 0);
	assert_int_equal(state_of().hung_processes, 1);
	begin();
	assert_true(says_each);
	assert_int_equal(n_left_out, 1);
	assert_true(left_out[0].ns == 0 && left_out[0].id == 1234);
	end();
	passes_until_tried(0);
	assert_true(says_each);
	end();
	assert_int_equal(state_of().hung_processes, 0);
	begin();
	assert_false(says_each);
	end();
}

static void who_stood_still_has_not_hung(void **state)
{
	begin();
	for (uint64_t ns = 0; ns < 2; ns++) { /* a process, and a filesystem */
		say_place(ns, 1234);
		now += MINUTE; /* the machine was paused, or had no time for main either */
		scout_tick(scout, now);
		assert_true(scout_is_looking(scout));
	}
	end();
	assert_int_equal(hung() + state_of().hung_processes, 0);
}

/* What is told of a mount, or of nowhere, is no process's fault. */
static void nobody_is_blamed_for_another(void **state)
{
	const struct scout_mount mount = { .place = { 7, 1 }, .dev = 1, .type = "ext4" };
	uint8_t body[512];
	struct assay_wr w = assay_wr(body, sizeof(body));

	begin();
	scout_mount_encode(&mount, &w);
	say(SCOUT_FAILED, assay_wr_done(&w));
	wait_in_vain(HANG);
	assert_false(scout_is_looking(scout));
	assert_int_equal(hung() + state_of().hung_processes, 0);
}

static void the_window_grows_until_a_pass_ends(void **state)
{
	uint64_t window;

	begin();
	end();
	window = state_of().window_ns;
	assert_true(window >= 2 * SECOND && window < 3 * SECOND);
	for (int i = 0; i < 3; i++) {
		begin();
		hang_at(0, 0);
	}
	assert_true(state_of().window_ns > 9 * SECOND);
	assert_false(state_of().is_late);
	begin();
	hang_at(0, 0);
	assert_true(state_of().is_late);
	begin();
	end();
	assert_int_equal(state_of().window_ns, window);
	assert_false(state_of().is_late);
}

/* When main's tick begins one, to the tenth of a second. */
static uint64_t until_next(void)
{
	uint64_t from = now;

	begin();
	return now - from;
}

static void an_old_kernel_has_the_window_alone(void **state)
{
	pass(SECOND / 100);
	assert_int_equal(scout_events_fd(scout), -1);
	assert_int_equal(state_of().marked, 0);
	assert_true(state_of().marked_window_ns == state_of().window_ns);
	assert_int_equal(scout_pause(scout, now, 1000), 1000);
	assert_true(until_next() >= 2 * SECOND);
	end();
}

static void a_mount_begins_a_pass(void **state)
{
	events_fd = 1000;
	pass(SECOND / 100);
	assert_int_equal(state_of().marked, 1);
	assert_true(state_of().marked_window_ns <= SECOND / 5);
	assert_true(state_of().window_ns >= 2 * SECOND);
	assert_int_equal(scout_events_fd(scout), 1000);
	now += SECOND;
	scout_tick(scout, now);
	assert_false(scout_is_looking(scout));
	scout_wake(scout, now);
	assert_int_equal(scout_events_fd(scout), -1); /* whoever mounts more wakes nobody */
	assert_int_equal(scout_pause(scout, now, 1000), 0);
	scout_tick(scout, now);
	assert_true(scout_is_looking(scout));
	assert_int_equal(n_drained, 2);
	begin();
	scout_wake(scout, now); /* in the pass: it may have been where that was */
	end();
	assert_int_equal(scout_pause(scout, now, 1000), 100);
	assert_true(until_next() <= SECOND / 5);
	end();
	assert_true(until_next() >= 2 * SECOND);
	end();
}

/* All that others can have is a tenth of the time. */
static void who_mounts_all_the_time_has_a_tenth(void **state)
{
	const uint64_t took = SECOND / 2;
	uint64_t began = now;

	events_fd = 1000;
	for (int i = 0; i < 20; i++) {
		pass(took);
		scout_wake(scout, now);
	}
	assert_true(now - began >= 19 * 10 * took);
	assert_true(state_of().marked_window_ns == (9 + 2) * took);
}

/* It may have been mounted between the look at the new namespace and its mark. */
static void a_new_namespace_is_looked_at_again(void **state)
{
	events_fd = 1000;
	met_new = true;
	pass(SECOND / 100);
	met_new = false;
	assert_true(until_next() <= SECOND / 5);
	end();
	assert_true(until_next() >= 2 * SECOND);
	end();
}

static void the_window_of_known_ones_grows_too(void **state)
{
	events_fd = 1000;
	pass(SECOND / 100);
	scout_wake(scout, now);
	for (int i = 0; i < 3; i++) {
		begin();
		hang_at(0, 0);
	}
	assert_true(state_of().marked_window_ns > 6 * SECOND);
	pass(SECOND / 100);
	assert_true(state_of().marked_window_ns <= SECOND / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_place_that_answers_again_is_looked_at, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(one_that_hangs_costs_a_pass_a_minute, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(all_are_tried, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_newest_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_keeps_it_is_left_out, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(who_stood_still_has_not_hung, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_is_blamed_for_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_window_grows_until_a_pass_ends, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_old_kernel_has_the_window_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_mount_begins_a_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_mounts_all_the_time_has_a_tenth, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_new_namespace_is_looked_at_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_window_of_known_ones_grows_too, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
