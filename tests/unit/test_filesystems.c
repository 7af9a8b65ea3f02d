/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of filesystems, up to its bounds. */
#include "unit/test.h"

#include <sys/sysmacros.h>

#include "programs/assayd/main/filesystems.h"

static struct filesystems table;

static bool set(uint64_t dev, bool ours)
{
	return filesystems_set(&table, &(struct filesystem){ .dev = dev, .ours = ours });
}

static uint32_t count(void)
{
	const struct filesystem *f = NULL;
	uint32_t n = 0;

	while ((f = filesystems_next(&table, f)))
		n++;
	return n;
}

static bool is_even(void *ctx, const struct filesystem *f)
{
	return f->dev % 2 == 0;
}

static int tear_down(void **state)
{
	filesystems_drop_all(&table);
	assert_int_equal(table.n, 0);
	assert_int_equal(table.n_users, 0);
	assert_int_equal(count(), 0);
	return 0;
}

static void each_is_found(void **state)
{
	for (unsigned minor = 1; minor <= 10000; minor++)
		assert_true(set(makedev(minor % 3, minor), true));
	assert_int_equal(count(), 10000);
	for (unsigned minor = 1; minor <= 10000; minor++)
		assert_true(filesystems_find(&table, makedev(minor % 3, minor))->dev ==
			    makedev(minor % 3, minor));
	assert_null(filesystems_find(&table, makedev(5, 1)));
	assert_true(set(makedev(0, 3), true)); /* again */
	assert_int_equal(count(), 10000);
	filesystems_drop(&table, is_even, NULL);
	assert_int_equal(count(), table.n);
	assert_null(filesystems_find(&table, makedev(2, 2)));
	assert_non_null(filesystems_find(&table, makedev(0, 3)));
}

/* Who mounts in namespaces of his own fills his part, and no more. */
static void users_leave_room(void **state)
{
	uint64_t dev = 1;

	while (set(dev, false))
		dev++;
	assert_int_equal(table.n, FILESYSTEMS_USERS_MAX);
	assert_int_equal(dev - 1, FILESYSTEMS_USERS_MAX);
	for (uint32_t i = 0; i < FILESYSTEMS_MAX - FILESYSTEMS_USERS_MAX; i++)
		assert_true(set(1000000 + i, true));
	assert_false(set(2000000, true));
	assert_true(set(1, false)); /* those that are there stay, and change */
	assert_true(set(FILESYSTEMS_UNTOLD, true));
	/* One that is found to be root's makes room for a user's. */
	filesystems_drop(&table, is_even, NULL);
	assert_true(set(1, true));
	assert_int_equal(table.n_users, FILESYSTEMS_USERS_MAX / 2 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(each_is_found, tear_down),
		cmocka_unit_test_teardown(users_leave_room, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
