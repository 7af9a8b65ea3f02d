/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel with IMA beside the recorder: its list is a file, its extends are made by the test. */
#pragma once

#include <pthread.h>

#include "unit/recorder_fixture.h"

#define KERNEL_LIST "binary_runtime_measurements"

struct kernel {
	struct fixture *f;
	struct assay_arena arena;
	void *memory;
	struct assay_core *core;
	uint8_t list[1 << 17];
	size_t len, extended; /* bytes */
	bool pads;	      /* extends sha256 with the SHA-1 digest */
	bool two_pcrs;	      /* measures into PCR 11 too, by turns */
	char path[128];
	pthread_mutex_t lock; /* it measures in the test's thread and extends in the recorder's */
};

static int kernel_append(void *ctx, struct assay_bytes record, bool reserve)
{
	struct kernel *k = ctx;

	(void)reserve;
	memcpy(k->list + k->len, record.data, record.len);
	k->len += record.len;
	return 0;
}

static const struct assay_append_ops kernel_append_ops = { kernel_append };

static inline void kernel_start(struct kernel *k)
{
	struct assay_ports ports = { .crypto = k->f->crypto, .append = { &kernel_append_ops, k } };
	struct assay_core_config config = { .hash = ASSAY_HASH_SHA256, .pcr = 10 };

	k->len = k->extended = 0;
	assay_arena_init(&k->arena, k->memory, 1 << 21);
	assert_int_equal(assay_core_new(&k->arena, &ports, &config, &k->core, NULL), 0);
}

/* With a recorder, @f, which goes with it. */
static inline void kernel_init(struct kernel *k, struct fixture *f, enum anchor_mode mode)
{
	fixture_init(f, mode);
	*k = (struct kernel){ .f = f, .memory = malloc(1 << 21) };
	pthread_mutex_init(&k->lock, NULL);
	kernel_start(k);
	assay_fmt(k->path, sizeof(k->path), "%s/" KERNEL_LIST, f->dir);
	f->config.kernel_list = k->path;
}

static inline void kernel_done(struct kernel *k)
{
	assay_core_done(k->core);
	free(k->memory);
	fixture_done(k->f);
}

/* What user space sees of it. */
static inline void kernel_publish(struct kernel *k)
{
	char count[16];

	assert_int_equal(assay_file_replace(k->f->dirfd, KERNEL_LIST, 0600,
					    assay_bytes(k->list, k->len), NULL),
			 0);
	assay_fmt(count, sizeof(count), "%u\n", (unsigned)assay_core_records(k->core));
	assert_int_equal(assay_file_replace(k->f->dirfd, "runtime_measurements_count", 0600,
					    assay_bytes_str(count), NULL),
			 0);
}

/* The next @n of what was measured go into the TPM. */
static inline void kernel_extend(struct kernel *k, unsigned n)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_banks banks = { .alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, .n = 2 };
	struct assay_replay *replay;
	struct assay_rd in;
	struct assay_record record;
	struct assay_step step;
	bool is_step;

	assert_int_equal(assay_replay_new(&k->f->crypto, &banks, NULL, &replay), 0);
	pthread_mutex_lock(&k->lock);
	in = assay_rd(assay_bytes(k->list + k->extended, k->len - k->extended));
	for (; n > 0 && !assay_rd_end(&in); n--) {
		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		assert_int_equal(assay_replay_record(replay, &record, 0, &is_step, &step, NULL), 0);
		if (k->pads) {
			memset(step.digests.value[1], 0, 32);
			memcpy(step.digests.value[1], step.digests.value[0], 20);
		}
		assay_fake_anchor_foreign(k->f->tpm, step.pcr, &step.digests);
	}
	assay_replay_free(replay);
	k->extended += assay_rd_offset(&in);
	pthread_mutex_unlock(&k->lock);
}

/* As a kernel does it: counted before it is extended. */
static inline void kernel_counts(struct kernel *k, unsigned n)
{
	pthread_mutex_lock(&k->lock);
	for (unsigned i = 0; i < n; i++) {
		unsigned number = (unsigned)assay_core_records(k->core);
		char name[32];

		assay_fmt(name, sizeof(name), "kernel-%u", number);
		assert_int_equal(assay_core_buffer(k->core, k->two_pcrs && number % 2 ? 11 : 10,
						   name, assay_bytes_str(name), NULL, NULL),
				 0);
	}
	kernel_publish(k);
	pthread_mutex_unlock(&k->lock);
}

static inline void kernel_measures(struct kernel *k, unsigned n)
{
	kernel_counts(k, n);
	kernel_extend(k, UINT32_MAX);
}

/* The machine boots again: the first @n of its records are those of the last time. */
static inline void kernel_boots(struct kernel *k, unsigned n)
{
	assay_core_done(k->core);
	kernel_start(k);
	kernel_measures(k, n);
}
