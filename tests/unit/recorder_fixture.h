/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A recorder over a scratch folder and a TPM in memory, and the one question that all its tests
 * ask: does every segment replay, and does the last one lead to what the TPM holds?
 */
#pragma once

#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/fake/fake_anchor.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/hex.h"
#include "engine/replay.h"
#include "formats/batch.h"
#include "formats/segment.h"
#include "programs/assayd/anchor/recorder.h"

#define FLUSH_MS     60000
#define SEGMENTS_MAX 16

struct fixture {
	char dir[64];
	int dirfd;
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct assay_fake_anchor *tpm;
	struct assay_arena arena;
	void *memory;
	const struct assay_policy *policy;
	struct recorder_config config;
	struct recorder *recorder;
	pthread_mutex_t lock;
	uint64_t upto, n_released, n_segments;
	char error[512]; /* the last one that was logged */
	uint32_t files;	 /* that were measured so far: each has a name and a digest of its own */
};

static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	if (released)
		f->n_released++;
	else
		f->upto = upto;
	pthread_mutex_unlock(&f->lock);
}

static void on_segment(void *ctx, enum assay_segment_start why)
{
	struct fixture *f = ctx;

	(void)why;
	pthread_mutex_lock(&f->lock);
	f->n_segments++;
	pthread_mutex_unlock(&f->lock);
}

static void on_log(void *ctx, int priority, const char *text)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	if (priority == LOG_ERR)
		assay_fmt(f->error, sizeof(f->error), "%s", text);
	pthread_mutex_unlock(&f->lock);
	if (getenv("VERBOSE"))
		fprintf(stderr, "<%d> %s\n", priority, text);
}

static inline const struct assay_policy *fixture_policy(struct fixture *f, const char *text)
{
	struct assay_policy_text *parsed = assay_arena_alloc(&f->arena, 1, sizeof(*parsed));
	const struct assay_policy *policy;

	assert_int_equal(assay_policy_parse(assay_bytes_str(text), NULL, &f->arena, parsed, NULL),
			 0);
	assert_int_equal(assay_policy_compile(parsed, &f->arena, &policy), 0);
	return policy;
}

static inline void fixture_init(struct fixture *f, enum anchor_mode mode)
{
	/* In memory if there is such a folder: a sync costs nothing there. */
	*f = (struct fixture){ .dir = "/dev/shm/assay-recorder-XXXXXX" };
	if (access("/dev/shm", W_OK) < 0)
		assay_fmt(f->dir, sizeof(f->dir), "/tmp/assay-recorder-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->crypto = assay_crypto_openssl_port(f->openssl);
	assert_int_equal(assay_fake_anchor_new(&f->crypto, NULL, &f->tpm), 0);
	f->memory = malloc(1 << 20);
	assay_arena_init(&f->arena, f->memory, 1 << 20);
	f->policy = fixture_policy(f, "measure func=FILE_CHECK fowner=11 pcr=11\n"
				      "measure func=FILE_CHECK\n");
	pthread_mutex_init(&f->lock, NULL);
	f->config = (struct recorder_config){ .list_dirfd = f->dirfd,
					      .list_dir = f->dir,
					      .anchor = assay_fake_anchor_port(f->tpm),
					      .crypto = f->crypto,
					      .mode = mode,
					      .core = { .hash = ASSAY_HASH_SHA256, .pcr = 10 },
					      .stop_ms = 50,
					      .anchored = on_anchored,
					      .segment = on_segment,
					      .log = on_log,
					      .ctx = f };
}

static inline void fixture_done(struct fixture *f)
{
	DIR *dir = fdopendir(dup(f->dirfd));
	struct dirent *e;

	while ((e = readdir(dir)))
		unlinkat(f->dirfd, e->d_name, 0);
	closedir(dir);
	rmdir(f->dir);
	close(f->dirfd);
	assay_fake_anchor_free(f->tpm);
	assay_crypto_openssl_free(f->openssl);
	free(f->memory);
	pthread_mutex_destroy(&f->lock);
}

static inline void fixture_start(struct fixture *f)
{
	struct assay_digest digest = { .alg = ASSAY_HASH_SHA256 };
	struct assay_err err = { 0 };

	if (recorder_start(&f->config, &f->recorder, &err) < 0)
		fail_msg("recorder_start: %s", err.text);
	assert_int_equal(recorder_set_policy(f->recorder, f->policy, "test", &digest, &err), 0);
}

static inline void fixture_stop(struct fixture *f)
{
	recorder_stop(TAKE(f->recorder), "test");
}

/* The facts of file number @i; @owner 11 goes to PCR 11. */
static inline void file_facts(uint32_t i, uint32_t owner, char path[static 32],
			      struct assay_facts *ret)
{
	*ret = (struct assay_facts){
		.have = ~0u,
		.match = { .hook = ASSAY_HOOK_FILE_CHECK, .mask = ASSAY_MAY_READ, .fowner = owner },
		.digest = { .alg = ASSAY_HASH_SHA256 }
	};
	assay_fmt(path, 32, "/file/%u", i);
	ret->path = assay_bytes_str(path);
	memcpy(ret->digest.data, &i, sizeof(i));
	ret->digest.data[31] = 1;
}

static inline int record(struct fixture *f, const struct assay_facts *facts,
			 struct assay_decision *ret)
{
	int error;

	recorder_events(f->recorder, &facts, 1, ret, &error);
	return error;
}

static inline int measure_file(struct fixture *f, uint32_t i, uint32_t owner, bool writers,
			       struct assay_decision *ret)
{
	struct assay_facts facts;
	char path[32];

	file_facts(i, owner, path, &facts);
	facts.open_writers = writers;
	return record(f, &facts, ret);
}

/* @n new files; every fifth to PCR 11, every seventh with a violation. */
static inline bool is_anchored(struct fixture *f, uint64_t index)
{
	struct recorder_counts counts;

	recorder_counts(f->recorder, &counts);
	return index < counts.anchored;
}

static inline void measure_files(struct fixture *f, uint32_t n)
{
	struct assay_decision d;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = f->files++;

		assert_int_equal(measure_file(f, k, k % 5 == 4 ? 11 : 0, k % 7 == 6, &d), 0);
		assert_int_equal(d.need, 0);
		assert_int_equal(d.verdict, ASSAY_ALLOW);
		assert_int_equal(d.n_new, k % 7 == 6 ? 2 : 1);
	}
}

/* A run in which @n new files are measured. */
static inline void fixture_run(struct fixture *f, uint32_t n)
{
	fixture_start(f);
	measure_files(f, n);
	fixture_stop(f);
}

/* ---- looking at what is on disk ---------------------------------------------------------------
 */

struct segment_file {
	struct assay_file file;
	struct assay_segment_head head;
	struct assay_bytes records;
};

static inline bool load_segment(struct fixture *f, unsigned number, struct segment_file *ret)
{
	char name[40];

	*ret = (struct segment_file){ 0 };
	assay_fmt(name, sizeof(name), "segment-%08u", number);
	if (assay_file_map(f->dirfd, name, 1u << 30, &ret->file, NULL) < 0)
		return false;
	assert_int_equal(assay_segment_parse(ret->file.bytes, NULL, &ret->head, &ret->records,
					     NULL),
			 0);
	return true;
}

/* Replays a segment; *ret_records how many it has. */
static inline struct assay_replay *replay_segment(struct fixture *f, const struct segment_file *s,
						  uint64_t *ret_records)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_rd in = assay_rd(s->records);
	struct assay_replay *replay;
	struct assay_record record;
	struct assay_err err = { 0 };
	struct assay_step step;
	bool is_step;

	assert_int_equal(assay_replay_new(&f->crypto, &s->head.banks, s->head.base, &replay), 0);
	for (*ret_records = 0; !assay_rd_end(&in); ++*ret_records) {
		uint64_t at = assay_rd_offset(&in);

		assert_int_equal(assay_record_parse(&in, &form, &record, NULL), 0);
		if (assay_replay_record(replay, &record, at, &is_step, &step, &err) < 0)
			fail_msg("segment %u: %s", (unsigned)s->head.number, err.text);
	}
	return replay;
}

/* Each bank is what the replay says, in its real form or in that of a padding kernel. */
static inline void assert_pcr(struct fixture *f, const struct assay_replay *replay, uint32_t pcr)
{
	struct assay_pcr_value real, padded, have;

	assay_replay_pcr(replay, pcr, ASSAY_EXTEND_REAL, &real);
	assay_replay_pcr(replay, pcr, ASSAY_EXTEND_PADDED, &padded);
	assay_fake_anchor_pcr(f->tpm, pcr, &have);
	for (unsigned i = 0; i < 2; i++)
		if (memcmp(have.value[i], padded.value[i], ASSAY_HASH_SIZE_MAX) != 0)
			assert_memory_equal(have.value[i], real.value[i], ASSAY_HASH_SIZE_MAX);
}

/* An entry vouches for the head, and so for the values that the PCRs began with. */
static inline void assert_vouched(const struct segment_file *s)
{
	char text[80] = ";head=";

	assay_hex_encode(assay_bytes(s->file.bytes.data + ASSAY_SEGMENT_CHECKSUM, 32),
			 text + strlen(text));
	assert_non_null(memmem(s->records.data, s->records.len, text, strlen(text)));
}

/* Every segment replays; the last one leads to the PCRs, and nothing in it waits. Returns the
 * number of segments. */
static inline unsigned assert_agrees(struct fixture *f)
{
	struct segment_file s;
	uint64_t records;
	unsigned n = 0;

	while (load_segment(f, n + 1, &s)) {
		struct assay_replay *replay = replay_segment(f, &s, &records);
		struct segment_file next;
		bool last = !load_segment(f, n + 2, &next);

		assay_file_free(&next.file);
		assert_vouched(&s);
		for (uint32_t p = 10; last && p <= 11; p++)
			assert_pcr(f, replay, p);
		if (last)
			assert_int_equal(assay_replay_pending(replay), 0);
		assay_replay_free(replay);
		assay_file_free(&s.file);
		n++;
	}
	assert_true(n > 0);
	return n;
}

/* The records of segment @number, or of all (0), in memory of its own. */
static inline struct assay_bytes load_records(struct fixture *f, unsigned number)
{
	struct segment_file s;
	uint8_t *all = malloc(1);
	size_t len = 0;

	for (unsigned n = number ? number : 1; load_segment(f, n, &s); n++) {
		all = realloc(all, len + s.records.len + 1);
		memcpy(all + len, s.records.data, s.records.len);
		len += s.records.len;
		assay_file_free(&s.file);
		if (number)
			break;
	}
	return assay_bytes(all, len);
}

static inline unsigned count_bytes(struct assay_bytes in, const void *needle, size_t len)
{
	const uint8_t *at = in.data, *end = in.data + in.len;
	unsigned count = 0;

	while ((at = memmem(at, (size_t)(end - at), needle, len))) {
		count++;
		at += len;
	}
	return count;
}

/* How often @needle is in the records of segment @number; 0: all. */
static inline unsigned count_in_list(struct fixture *f, unsigned number, const void *needle,
				     size_t len)
{
	struct assay_bytes all = load_records(f, number);
	unsigned count = count_bytes(all, needle, len);

	free((void *)(uintptr_t)all.data);
	return count;
}

/* Each file that was measured stands in the list; @once: and no more than once. */
static inline void assert_all_there(struct fixture *f, bool once)
{
	struct assay_bytes all = load_records(f, 0);

	for (uint32_t i = 0; i < f->files; i++) {
		char path[32];
		size_t len = assay_fmt(path, sizeof(path), "/file/%u", i) + 1;
		unsigned count = count_bytes(all, path, len);
		unsigned want = i % 7 == 6 ? 2 : 1; /* a violation names the file too */

		assert_true(count >= want);
		if (once)
			assert_int_equal(count, want);
	}
	free((void *)(uintptr_t)all.data);
}

static inline unsigned count_event(struct fixture *f, unsigned number, const char *event)
{
	char text[64];
	size_t len = assay_fmt(text, sizeof(text), ";event=%s;", event);

	return count_in_list(f, number, text, len);
}
