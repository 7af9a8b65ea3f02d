/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the daemon that need no fanotify: who is covered by a mark, and what a process maps. */
#include "unit/test.h"

#include <unistd.h>

#include "programs/assayd/coverage.h"
#include "programs/assayd/maps.h"

static uint8_t memory[4 << 20] __attribute__((aligned(16)));

static const struct assay_policy *compile(const char *text)
{
	static struct assay_policy_text parsed;
	const struct assay_policy *p;
	struct assay_arena arena;

	assay_arena_init(&arena, memory, sizeof(memory));
	assert_int_equal(assay_policy_parse(assay_bytes_str(text), NULL, &arena, &parsed, NULL), 0);
	assert_int_equal(assay_policy_compile(&parsed, &arena, &p), 0);
	return p;
}

/* Judges an open by @uid, and says whether that covers everybody. */
static bool covers(const char *text, uint32_t uid, uint32_t mask)
{
	const struct assay_policy *p = compile(text);
	struct assay_match_facts facts = {
		.hook = ASSAY_HOOK_FILE_CHECK,
		.mask = mask,
		.subject = { .uid = uid, .euid = uid, .suid = uid },
		.fs = { .magic = 0xef53, .name = assay_bytes_str("ext4") },
	};
	struct coverage c = { 0 };
	struct assay_match m;

	assay_policy_match(p, &facts, &m);
	coverage_add(&c, &m);
	return coverage_holds(&c, p, &facts, ASSAY_HOOK_FILE_CHECK);
}

static void a_mark_needs_that_nobody_adds_a_record(void **state)
{
	static const char tcb[] = "measure func=FILE_CHECK mask=^MAY_READ uid=0\n";

	assert_true(covers(tcb, 0, ASSAY_MAY_READ));
	assert_false(covers(tcb, 1000, ASSAY_MAY_READ));
	assert_false(covers(tcb, 0, ASSAY_MAY_WRITE));
	assert_true(covers("dont_measure fsmagic=0xef53\nmeasure func=FILE_CHECK uid=0\n", 1000,
			   ASSAY_MAY_READ));
	assert_true(covers("measure func=BPRM_CHECK\n", 1000, ASSAY_MAY_READ));
	assert_true(covers("measure func=FILE_CHECK\n", 1000, ASSAY_MAY_WRITE));
}

/* Another PCR or template is another record. */
static void a_mark_needs_the_same_record_for_all(void **state)
{
	assert_false(covers("measure func=FILE_CHECK mask=MAY_READ pcr=11\n"
			    "measure func=FILE_CHECK mask=MAY_WRITE pcr=12\n",
			    0, ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK uid=0 pcr=11\nmeasure func=FILE_CHECK\n", 0,
			    ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK uid=0\n"
			    "measure func=FILE_CHECK template=ima-ngv2\n",
			    0, ASSAY_MAY_READ));
	assert_true(covers("measure func=FILE_CHECK mask=MAY_READ pcr=11\n"
			   "measure func=FILE_CHECK mask=MAY_WRITE pcr=11\n",
			   0, ASSAY_MAY_READ));
}

struct seen {
	unsigned n, n_exe;
	bool libc;
};

static int see(void *ctx, const struct maps_file *file)
{
	struct seen *s = ctx;

	s->n++;
	s->n_exe += file->is_exe;
	s->libc |= strstr(file->path, "libc") != NULL;
	return s->n == 1000 ? -1 : 0;
}

static bool skip_all(void *ctx, uint64_t dev, uint64_t ino)
{
	return true;
}

static void our_own_maps(void **state)
{
	struct seen code = { 0 }, all = { 0 }, none = { 0 };

	if (access("/proc/self/map_files", R_OK) < 0 || geteuid() != 0)
		skip(); /* needs CAP_CHECKPOINT_RESTORE */
	assert_int_equal(maps_walk(getpid(), false, NULL, NULL, see, &code), 0);
	assert_int_equal(maps_walk(getpid(), true, NULL, NULL, see, &all), 0);
	assert_int_equal(maps_walk(getpid(), true, skip_all, NULL, see, &none), 0);
	assert_int_equal(code.n_exe, 1);
	assert_true(code.libc);
	assert_true(all.n >= code.n);
	assert_int_equal(none.n, 0);
	assert_int_equal(maps_walk(INT32_MAX, true, NULL, NULL, see, &none), 0);
	assert_int_equal(none.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_needs_that_nobody_adds_a_record),
		cmocka_unit_test(a_mark_needs_the_same_record_for_all),
		cmocka_unit_test(our_own_maps),
	};

	return cmocka_run_group_tests_name("coverage", tests, NULL, NULL);
}
