/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walker's messages: what is written is read, and nothing else is. */
#include "unit/test.h"

#include <errno.h>

#include "programs/assayd/scout/walk_msg.h"

static void a_request_comes_back(void **state)
{
	const struct walk_request r = {
		.except = 7, .first = 1, .last = INT32_MAX, .dev = 11, .ino = 12, .unknown = 1
	};
	uint8_t space[64];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct walk_request back;

	walk_request_encode(&r, &w);
	assert_int_equal(walk_request_parse(assay_wr_done(&w), &back), 0);
	assert_true(back.except == 7 && back.first == 1 && back.last == INT32_MAX &&
		    back.dev == 11 && back.ino == 12 && back.unknown == 1);
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(walk_request_parse(assay_bytes(space, len), &back), -EBADMSG);
	space[w.len] = 0;
	assert_int_equal(walk_request_parse(assay_bytes(space, w.len + 1), &back), -EBADMSG);
	space[w.len - 4] = 2; /* neither yes nor no */
	assert_int_equal(walk_request_parse(assay_wr_done(&w), &back), -EBADMSG);
}

static void files_come_back(void **state)
{
	struct walk_file file[IPC_FDS_MAX + 1], back[IPC_FDS_MAX];
	uint8_t space[1024];
	struct assay_wr w = assay_wr(space, sizeof(space));
	uint32_t n;

	for (uint32_t i = 0; i <= IPC_FDS_MAX; i++)
		file[i] = (struct walk_file){ .dev = i, .ino = i + 1, .is_exe = i % 2 };
	walk_files_encode(file, IPC_FDS_MAX, &w);
	assert_int_equal(walk_files_parse(assay_wr_done(&w), back, &n), 0);
	assert_int_equal(n, IPC_FDS_MAX);
	assert_true(back[31].dev == 31 && back[31].ino == 32 && back[31].is_exe == 1);
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(walk_files_parse(assay_bytes(space, len), back, &n),
				 len % 20 ? -EBADMSG : 0);
	space[16] = 2; /* neither yes nor no */
	assert_int_equal(walk_files_parse(assay_wr_done(&w), back, &n), -EBADMSG);
	w = assay_wr(space, sizeof(space));
	walk_files_encode(file, IPC_FDS_MAX + 1, &w);
	assert_int_equal(walk_files_parse(assay_wr_done(&w), back, &n), -E2BIG);
}

static void a_failure_comes_back(void **state)
{
	const struct walk_failure f = { .dev = 5, .ino = 6, .error = EACCES, .path = "/a b" };
	uint8_t space[512];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct walk_failure back;

	walk_failure_encode(&f, &w);
	assert_int_equal(walk_failure_parse(assay_wr_done(&w), &back), 0);
	assert_true(back.dev == 5 && back.ino == 6 && back.error == EACCES);
	assert_string_equal(back.path, "/a b");
	for (size_t len = 0; len < w.len; len++)
		assert_int_equal(walk_failure_parse(assay_bytes(space, len), &back), -EBADMSG);
	for (size_t bit = 0; bit < 8 * w.len; bit++) {
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (walk_failure_parse(assay_wr_done(&w), &back) == 0)
			assert_true(back.error <= 4095 &&
				    strnlen(back.path, WALK_PATH_MAX) < WALK_PATH_MAX);
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_comes_back),
		cmocka_unit_test(files_come_back),
		cmocka_unit_test(a_failure_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
