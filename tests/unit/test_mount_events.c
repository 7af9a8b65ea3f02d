/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Marks on mount namespaces, with a kernel that the test plays: an old one, one that refuses, and
 * how many marks there are at most. */
#include "unit/test.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include "backends/source_fanotify/mount_events.h"

static int init_error, mark_error;
static int group; /* that the kernel has made last */
static uint32_t n_groups, n_marks, n_flushes;

int fanotify_init(unsigned flags, unsigned event_flags)
{
	if (init_error) {
		errno = init_error;
		return -1;
	}
	n_groups++;
	group = eventfd(0, EFD_NONBLOCK);
	return group;
}

int fanotify_mark(int fd, unsigned flags, uint64_t mask, int dirfd, const char *path)
{
	assert_int_equal(fd, group);
	if (flags & 0x80) { /* FAN_MARK_FLUSH */
		n_flushes++;
		n_marks = 0;
		return 0;
	}
	assert_int_equal(flags, 0x111); /* FAN_MARK_ADD | FAN_MARK_MNTNS */
	assert_int_equal(mask, 0x01000000);
	errno = mark_error;
	n_marks += !mark_error;
	return mark_error ? -1 : 0;
}

static struct assay_mount_events *events;

static int set_up(void **state)
{
	init_error = mark_error = 0;
	n_groups = n_marks = n_flushes = 0;
	return assay_mount_events_new(&events);
}

static int tear_down(void **state)
{
	assay_mount_events_free(events);
	return 0;
}

/* Of namespaces @first to @first + @n - 1. */
static bool pass(uint64_t first, uint32_t n)
{
	assay_mount_events_begin(events);
	for (uint32_t i = n; i > 0; i--)
		assay_mount_events_mark(events, first + i - 1, 0);
	return assay_mount_events_end(events);
}

static void an_old_kernel_marks_nothing(void **state)
{
	init_error = EINVAL;
	assert_false(pass(1, 3));
	assert_int_equal(assay_mount_events_fd(events), -1);
	assert_int_equal(assay_mount_events_marked(events), 0);
	assert_int_equal(n_marks, 0);
	init_error = 0; /* it had too many groups for the moment */
	assert_true(pass(1, 3));
	assert_int_equal(assay_mount_events_fd(events), group);
	assert_int_equal(assay_mount_events_marked(events), 3);
}

static void what_is_refused_is_not_marked(void **state)
{
	mark_error = EPERM;
	assert_false(pass(1, 3));
	assert_int_equal(assay_mount_events_marked(events), 0);
}

static void new_ones_are_said(void **state)
{
	assert_true(pass(1, 3));
	assert_false(pass(1, 3));
	assert_int_equal(n_marks, 6); /* a number may be another's by now */
	assert_true(pass(2, 3));
	assert_false(pass(2, 2));
	assert_int_equal(assay_mount_events_marked(events), 2);
	assert_int_equal(n_groups, 1);
}

static void what_was_told_is_taken_at_the_begin(void **state)
{
	uint64_t one;

	pass(1, 1);
	assert_int_equal(eventfd_write(group, 1), 0);
	assay_mount_events_begin(events);
	assert_int_equal(read(group, &one, sizeof(one)), -1);
}

static void marks_are_bounded(void **state)
{
	const uint32_t most = ASSAY_MOUNT_EVENTS_MAX;

	assert_true(pass(1, most + 10));
	assert_int_equal(assay_mount_events_marked(events), most);
	for (uint64_t i = 1; i < 20; i++) {
		assert_true(pass(i * most + 1, most)); /* all are others */
		assert_true(n_marks <= 3 * most);
	}
	assert_true(n_flushes > 0);
	assert_int_equal(n_groups, 1); /* to close one is to wait */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_old_kernel_marks_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused_is_not_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(new_ones_are_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_told_is_taken_at_the_begin, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(marks_are_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
