/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written into "policy": the answers that a kernel 6.12 gave to the same writes, and the
 * limits. Names in the folder. */
#include "unit/test.h"

#include <errno.h>

#include "backends/view_fuse/node.h"
#include "backends/view_fuse/upload.h"
#include "base/arena.h"
#include "base/macros.h"
#include "formats/policy.h"

static int check_rule(void *ctx, struct assay_bytes line)
{
	size_t size = assay_policy_arena_size(line);
	void *memory = malloc(size);
	struct assay_policy_text unused;
	struct assay_arena arena;
	int r;

	(void)ctx;
	assay_arena_init(&arena, memory, size);
	r = assay_policy_parse(line, NULL, &arena, &unused, NULL);
	free(memory);
	return r < 0 ? -EINVAL : 0;
}

static const struct assay_view_check check = { check_rule, NULL };

struct answer {
	int result; /* bytes, or -errno */
	struct assay_bytes path;
};

static struct answer put(struct assay_view_upload *u, const char *text, uint64_t offset)
{
	struct answer a = { 0 };
	size_t taken = 0;
	int r = assay_view_upload_write(u, &check, assay_bytes_str(text), offset, &taken, &a.path);

	a.result = r < 0 ? r : (int)taken;
	return a;
}

static void assert_takes(struct assay_view_upload *u, const char *want)
{
	struct assay_bytes text = assay_view_upload_take(u);

	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.data, want, text.len);
}

/* As "cat" and "echo" do it: what was not taken is written again, behind it. */
static void one_line_a_write(void **state)
{
	struct assay_view_upload u = { 0 };
	const char *text = "measure func=BPRM_CHECK\n# a comment\n\nmeasure func=FILE_CHECK";
	uint64_t at = 0;

	while (at < strlen(text)) {
		struct answer a = put(&u, text + at, at);

		assert_true(a.result > 0 && a.path.len == 0);
		at += (uint64_t)a.result;
	}
	assert_takes(&u, "measure func=BPRM_CHECK\n# a comment\n\nmeasure func=FILE_CHECK\n");
	assert_takes(&u, ""); /* nothing new */
	assert_int_equal(put(&u, "dont_measure uid=1\n", at).result, 19);
	assert_takes(&u, "measure func=BPRM_CHECK\n# a comment\n\nmeasure func=FILE_CHECK\n"
			 "dont_measure uid=1\n");
	assay_view_upload_done(&u);
}

/* Seen on 6.12.107. */
static void the_answers_are_the_kernels(void **state)
{
	struct assay_view_upload u = { 0 };
	char longest[5003];

	assert_int_equal(put(&u, "measure func=BPRM_CHECK\nmeasure func=NOPE\n", 0).result, 24);
	assert_int_equal(put(&u, "\n", 0).result, 1);
	assert_int_equal(put(&u, "# comment\n", 0).result, 10);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '#';
	longest[5001] = '\n';
	longest[5002] = '\0';
	assert_int_equal(put(&u, longest, 0).result, 4096);
	assert_int_equal(put(&u, "", 0).result, 0);
	assay_view_upload_done(&u);

	assert_int_equal(put(&u, "measure func=NOPE\n", 0).result, -EINVAL);
	assert_int_equal(put(&u, "measure func=BPRM_CHECK\n", 0).result, 24);
	assert_takes(&u, ""); /* one that was wrong spoils all */
	assay_view_upload_done(&u);

	assert_int_equal(put(&u, "# nothing but this\n", 0).result, 19);
	assert_takes(&u, "");
	assay_view_upload_done(&u);
}

static void a_path_stands_alone(void **state)
{
	struct assay_view_upload u = { 0 };
	struct answer a = put(&u, "/etc/ima/policy\n", 0);

	assert_int_equal(a.result, 16);
	assert_int_equal(a.path.len, 15);
	assert_memory_equal(a.path.data, "/etc/ima/policy", 15);
	assert_takes(&u, "");
	assert_int_equal(put(&u, "measure\n", 16).result, -EINVAL);
	assay_view_upload_done(&u);

	assert_int_equal(put(&u, "measure\n", 0).result, 8);
	assert_int_equal(put(&u, "/etc/ima/policy", 8).result, -EINVAL);
	assay_view_upload_done(&u);

	assert_int_equal(put(&u, "/nowhere", 0).result, 8);
	assay_view_upload_failed(&u);
	assert_int_equal(put(&u, "# comment\n", 0).result, -EINVAL);
	assert_takes(&u, "");
	assay_view_upload_done(&u);
}

static void other_places_and_too_much_are_refused(void **state)
{
	struct assay_view_upload u = { 0 };
	char line[4001];
	int r = 0;

	assert_int_equal(put(&u, "measure\n", 3).result, -EINVAL);
	assay_view_upload_done(&u);
	memset(line, 'x', 4000);
	line[0] = '#';
	line[4000] = '\0';
	for (unsigned i = 0; i < 300 && r >= 0; i++)
		r = put(&u, line, 0).result;
	assert_int_equal(r, -EFBIG);
	assert_true(u.len <= ASSAY_POLICY_SIZE_MAX);
	assert_takes(&u, "");
	assay_view_upload_done(&u);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void every_name_leads_to_its_node(void **state)
{
	const struct assay_banks banks = { { ASSAY_HASH_SHA256, ASSAY_HASH_SM3 }, 2 };
	const struct assay_banks none = { .n = 0 };
	unsigned n = 0, n_none = 0;

	for (uint64_t ino = 0; ino < assay_view_node_end() + 10; ino++) {
		struct assay_view_node node;
		char target[ASSAY_VIEW_NAME_MAX];

		n_none += assay_view_node_get(ino, &none, &node);
		if (!assay_view_node_get(ino, &banks, &node))
			continue;
		n++;
		if (ino != ASSAY_VIEW_ROOT)
			assert_int_equal(assay_view_node_find(node.name, &banks), ino);
		if (node.type != ASSAY_VIEW_LINK)
			continue;
		assay_view_node_target(&node, target);
		assert_true(assay_view_node_find(target, &none) > 0);
	}
	assert_int_equal(n, 1 + 3 + 4 + 4 * 3);
	assert_int_equal(n_none, 1 + 3 + 4 + 4);
	assert_int_equal(assay_view_node_find("ascii_runtime_measurements_sha384", &banks), 0);
	assert_int_equal(assay_view_node_find("", &banks), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_a_write),
		cmocka_unit_test(the_answers_are_the_kernels),
		cmocka_unit_test(a_path_stands_alone),
		cmocka_unit_test(other_places_and_too_much_are_refused),
		cmocka_unit_test(every_name_leads_to_its_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
