/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel with IMA has extended PCR 10 before us, and may go on: its list is a file here, and its
 * extends are made by the test. */
#include "unit/recorder_fixture.h"

#define KERNEL_LIST "binary_runtime_measurements"

struct kernel {
	struct fixture *f;
	struct assay_arena arena;
	void *memory;
	struct assay_core *core;
	uint8_t list[1 << 16];
	size_t len, extended; /* bytes */
	bool pads;	      /* extends sha256 with the SHA-1 digest */
	char path[128];
};

static int append(void *ctx, struct assay_bytes record, bool reserve)
{
	struct kernel *k = ctx;

	(void)reserve;
	memcpy(k->list + k->len, record.data, record.len);
	k->len += record.len;
	return 0;
}

static const struct assay_append_ops append_ops = { append };

static void kernel_init(struct kernel *k, struct fixture *f)
{
	struct assay_ports ports = { .crypto = f->crypto, .append = { &append_ops, k } };
	struct assay_core_config config = { .hash = ASSAY_HASH_SHA256, .pcr = 10 };

	*k = (struct kernel){ .f = f, .memory = malloc(1 << 20) };
	assay_arena_init(&k->arena, k->memory, 1 << 20);
	assert_int_equal(assay_core_new(&k->arena, &ports, &config, &k->core, NULL), 0);
	assay_fmt(k->path, sizeof(k->path), "%s/" KERNEL_LIST, f->dir);
	f->config.kernel_list = k->path;
}

static void kernel_done(struct kernel *k)
{
	assay_core_done(k->core);
	free(k->memory);
}

/* What was measured since goes into the TPM and to user space. */
static void kernel_extend(struct kernel *k)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_banks banks = { .alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, .n = 2 };
	struct assay_rd in = assay_rd(assay_bytes(k->list + k->extended, k->len - k->extended));
	struct assay_replay *replay;
	struct assay_record record;
	struct assay_step step;
	char count[16];
	bool is_step;

	assert_int_equal(assay_replay_new(&k->f->crypto, &banks, NULL, &replay), 0);
	while (!assay_rd_end(&in)) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_replay_record(replay, &record, 0, &is_step, &step, NULL), 0);
		if (k->pads) {
			memset(step.digests.value[1], 0, 32);
			memcpy(step.digests.value[1], step.digests.value[0], 20);
		}
		assay_fake_anchor_foreign(k->f->tpm, step.pcr, &step.digests);
	}
	assay_replay_free(replay);
	k->extended = k->len;
	assert_int_equal(assay_file_replace(k->f->dirfd, KERNEL_LIST, 0600,
					    assay_bytes(k->list, k->len), NULL),
			 0);
	assay_fmt(count, sizeof(count), "%u\n", (unsigned)assay_core_records(k->core));
	assert_int_equal(assay_file_replace(k->f->dirfd, "runtime_measurements_count", 0600,
					    assay_bytes_str(count), NULL),
			 0);
}

static void kernel_measures(struct kernel *k, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char name[32];

		assay_fmt(name, sizeof(name), "kernel-%u", (unsigned)assay_core_records(k->core));
		assert_int_equal(assay_core_buffer(k->core, 10, name, assay_bytes_str(name), NULL,
						   NULL),
				 0);
	}
	kernel_extend(k);
}

/* The segment begins with the kernel's records, byte for byte, and PCR 10 at zero. */
static void assert_begins_with(struct kernel *k)
{
	static const struct assay_pcr_value zero;
	struct segment_file s;

	assert_true(load_segment(k->f, 1, &s));
	assert_memory_equal(s.records.data, k->list, k->len);
	assert_memory_equal(&s.head.base[10], &zero, sizeof(zero));
	assay_file_free(&s.file);
}

static void list_begins_with_the_kernels(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 4; m++) {
		fixture_init(&f, m % 2 ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		k.pads = m >= 2;
		kernel_measures(&k, 7);
		for (unsigned run = 0; run < 3; run++) {
			fixture_start(&f);
			measure_files(&f, 10);
			fixture_stop(&f);
		}
		assert_begins_with(&k);
		assert_int_equal(assert_agrees(&f), 1);
		assert_int_equal(count_event(&f, 1, "base"), 0);
		assert_int_equal(count_in_list(&f, 1, "boot_aggregate", 14), 0);
		assert_int_equal(count_in_list(&f, 1, "kernel_total=7;", 15), 1);
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

/* What a TPM cannot have extended: the list is not taken over, and we begin where the PCRs are. */
static void a_pcr_that_no_tpm_has(void **state)
{
	struct fixture f;
	struct kernel k;
	size_t len;

	fixture_init(&f, ANCHOR_GROUP);
	kernel_init(&k, &f);
	kernel_measures(&k, 1);
	len = k.len;
	memcpy(k.list + len, k.list, len);
	k.list[len] = 40;
	k.len = k.extended = 2 * len;
	kernel_extend(&k);
	fixture_start(&f);
	measure_files(&f, 10);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_int_equal(count_event(&f, 1, "base"), 1);
	kernel_done(&k);
	fixture_done(&f);
}

/* The kernel measures on, while we are away and while we run. */
static void later_records_are_merged(void **state)
{
	struct fixture f;
	struct kernel k;

	for (unsigned m = 0; m < 2; m++) {
		fixture_init(&f, m ? ANCHOR_GROUP : ANCHOR_EACH);
		kernel_init(&k, &f);
		kernel_measures(&k, 3);
		fixture_start(&f);
		measure_files(&f, 10);
		fixture_stop(&f);
		kernel_measures(&k, 2); /* away */
		fixture_start(&f);
		measure_files(&f, 5);
		assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		fixture_start(&f);
		for (unsigned i = 0; m && i < 3; i++) {
			assert_int_equal(recorder_flush(f.recorder, FLUSH_MS), 0);
			kernel_measures(&k, 2); /* while we run */
			measure_files(&f, 5);
		}
		fixture_stop(&f);
		assert_int_equal(assert_agrees(&f), 1);
		for (unsigned i = 0; i < assay_core_records(k.core); i++) {
			char name[32];
			size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;

			assert_int_equal(count_in_list(&f, 1, name, len), 1);
		}
		assert_all_there(&f, true);
		kernel_done(&k);
		fixture_done(&f);
	}
}

/* A kernel's list that does not lead to the PCR is not believed: the value is stated instead. */
static void list_that_explains_nothing_is_not_adopted(void **state)
{
	struct assay_pcr_value v = { { "somebody" } };
	struct fixture f;
	struct kernel k;

	fixture_init(&f, ANCHOR_GROUP);
	kernel_init(&k, &f);
	assay_fake_anchor_foreign(f.tpm, 10, &v);
	kernel_measures(&k, 3);
	for (unsigned run = 0; run < 2; run++) {
		fixture_start(&f);
		measure_files(&f, 10);
		fixture_stop(&f);
		kernel_measures(&k, 2); /* what comes later is taken over all the same */
	}
	fixture_start(&f);
	fixture_stop(&f);
	assert_int_equal(assert_agrees(&f), 1);
	assert_int_equal(count_event(&f, 1, "base"), 1);
	assert_int_equal(count_in_list(&f, 1, "kernel-2", 9), 0);
	assert_int_equal(count_in_list(&f, 1, "kernel-3", 9), 1);
	assert_int_equal(count_in_list(&f, 1, "kernel-6", 9), 1);
	kernel_done(&k);
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_begins_with_the_kernels),
		cmocka_unit_test(a_pcr_that_no_tpm_has),
		cmocka_unit_test(later_records_are_merged),
		cmocka_unit_test(list_that_explains_nothing_is_not_adopted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
