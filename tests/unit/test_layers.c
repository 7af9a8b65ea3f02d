/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Overlays over what somebody else answers for, however many overlays are between, in any order. */
#include "unit/test.h"

#include <sys/sysmacros.h>

#include "programs/assayd/main/layers.h"

#define FAR   "10 1 0:10 / /far rw - nfs server:/ rw\n"
#define LOWER "11 1 0:11 / /lower rw - overlay none rw,lowerdir=/disk:/far/a\n"
#define MIDDLE                                                                                     \
	"12 1 0:12 / /middle rw - overlay none "                                                   \
	"rw,lowerdir=/lower,upperdir=/disk/u,workdir=/disk/w\n"
#define UPPER "13 1 0:13 / /upper rw - overlay none rw,lowerdir=/disk:/elsewhere\n"
#define AGAIN                                                                                      \
	"14 1 0:12 / /elsewhere rw - overlay none "                                                \
	"rw,lowerdir=/lower,upperdir=/disk/u,workdir=/disk/w\n"
#define NEAR "15 1 0:15 / /near rw - overlay none rw,lowerdir=/disk:/other\n"
#define DISK "16 1 8:1 / /disk rw - ext4 /dev/sda1 rw\n"

static bool is_nfs(void *ctx, const struct assay_mount *mount)
{
	return strcmp(mount->type, "nfs") == 0;
}

static bool is_known_overlay(void *ctx, const struct assay_mount *mount)
{
	return mount->dev == makedev(0, 11);
}

static bool may_wait(const char *text, bool (*waits)(void *ctx, const struct assay_mount *mount),
		     unsigned minor)
{
	struct layers l;
	bool may;

	assert_int_equal(layers_find(assay_bytes_str(text), waits, NULL, &l), 0);
	may = layers_may_wait(&l, makedev(0, minor));
	layers_done(&l);
	return may;
}

/* A namespace that was copied lists mounts by their places, not by when they were made. */
static void in_any_order(void **state)
{
	static const char *const tables[] = {
		DISK FAR LOWER MIDDLE AGAIN UPPER NEAR,
		NEAR UPPER AGAIN MIDDLE LOWER FAR DISK,
		UPPER MIDDLE DISK NEAR LOWER AGAIN FAR,
		AGAIN FAR UPPER NEAR LOWER DISK MIDDLE,
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (unsigned minor = 11; minor <= 13; minor++)
			if (!may_wait(tables[i], is_nfs, minor))
				fail_msg("0:%u in table %zu", minor, i);
		assert_false(may_wait(tables[i], is_nfs, 15));
		assert_false(may_wait(tables[i], is_nfs, 99));
	}
}

static void nothing_is_far(void **state)
{
	assert_false(may_wait(UPPER AGAIN MIDDLE LOWER NEAR DISK, is_nfs, 11));
	assert_false(may_wait(UPPER AGAIN MIDDLE LOWER NEAR DISK, is_nfs, 13));
	assert_false(may_wait("", is_nfs, 11));
}

/* One whose layer's own mount is gone. */
static void one_that_is_known(void **state)
{
	assert_true(may_wait(UPPER AGAIN MIDDLE LOWER NEAR DISK, is_known_overlay, 11));
	assert_true(may_wait(UPPER AGAIN MIDDLE LOWER NEAR DISK, is_known_overlay, 13));
	assert_false(may_wait(UPPER AGAIN MIDDLE LOWER NEAR DISK, is_known_overlay, 15));
}

/* Two that name each other's places, as the later mount hides what was there. */
static void in_a_circle(void **state)
{
	static const char circle[] = "1 1 0:1 / /a rw - overlay none rw,lowerdir=/b:/disk\n"
				     "2 1 0:2 / /b rw - overlay none rw,lowerdir=/a:/disk\n";

	assert_false(may_wait(circle, is_nfs, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_any_order),
		cmocka_unit_test(nothing_is_far),
		cmocka_unit_test(one_that_is_known),
		cmocka_unit_test(in_a_circle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
