/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drives the recorder without fanotify, to be killed, and looks at what is left:
 *   recorder_drive run DIR MODE ACKS FIRST   measures files FIRST, FIRST+1, ... from four threads
 *                                            20,000 at most, until it is killed or told to
 *                                            stop by SIGTERM;
 *                                            appends each name to ACKS once it is anchored
 *                                            (ordered: written), and "ready" first
 *   recorder_drive check DIR ACKS            the list leads to what the TPM holds, and every
 *                                            acknowledged name is in it once; prints segments
 * The TPM is the one of $TCTI.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/file.h"
#include "engine/replay.h"
#include "formats/segment.h"
#include "programs/assayd/anchor/recorder.h"

#define THREADS	  4
#define FILES_MAX (1u << 25)
#define RUN_FILES 20000u /* of one run */

struct drive {
	struct assay_crypto crypto;
	struct assay_anchor anchor;
	struct recorder *recorder;
	pthread_mutex_t lock;
	pthread_cond_t anchored;
	uint64_t upto;
	int acks;
	uint32_t next, end;
	bool ordered, stop;
};

static void die(const char *what, const struct assay_err *err)
{
	fprintf(stderr, "recorder_drive: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct drive *d = ctx;

	pthread_mutex_lock(&d->lock);
	if (!released)
		d->upto = upto;
	pthread_cond_broadcast(&d->anchored);
	pthread_mutex_unlock(&d->lock);
}

static void on_log(void *ctx, int priority, const char *text)
{
	(void)ctx;
	fprintf(stderr, "<%d> %s\n", priority, text);
}

static const struct assay_policy *the_policy(void)
{
	static uint8_t memory[1 << 16];
	static struct assay_policy_text text;
	static struct assay_arena arena;
	const struct assay_policy *policy;

	assay_arena_init(&arena, memory, sizeof(memory));
	if (assay_policy_parse(assay_bytes_str("measure func=FILE_CHECK fowner=11 pcr=11\n"
					       "measure func=FILE_CHECK\n"),
			       NULL, &arena, &text, NULL) < 0 ||
	    assay_policy_compile(&text, &arena, &policy) < 0)
		die("policy", NULL);
	return policy;
}

/* One file; false: the end. */
static bool measure(struct drive *d)
{
	struct assay_facts facts = { .have = ~0u,
				     .match = { .hook = ASSAY_HOOK_FILE_CHECK,
						.mask = ASSAY_MAY_READ },
				     .digest = { .alg = ASSAY_HASH_SHA256 } };
	const struct assay_facts *one = &facts;
	struct assay_decision decision;
	struct assay_err err;
	int error;
	char name[32];
	uint32_t i;

	pthread_mutex_lock(&d->lock);
	i = d->next++;
	if (d->stop || i >= d->end) {
		pthread_mutex_unlock(&d->lock);
		return false;
	}
	pthread_mutex_unlock(&d->lock);
	snprintf(name, sizeof(name), "/f/%u", i);
	memcpy(facts.digest.data, &i, sizeof(i));
	facts.path = assay_bytes_str(name);
	facts.match.fowner = i % 5 ? 0 : 11;
	facts.open_writers = i % 11 == 0;
	recorder_events(d->recorder, &one, 1, &decision, &error);
	if (error < 0) {
		assay_err_set(&err, error, "%s", strerror(-error));
		die("event", &err);
	}
	pthread_mutex_lock(&d->lock);
	while (decision.wait_for != ASSAY_NO_RECORD && d->upto <= decision.wait_for)
		pthread_cond_wait(&d->anchored, &d->lock);
	pthread_mutex_unlock(&d->lock);
	strcat(name, "\n");
	if (write(d->acks, name, strlen(name)) < 0)
		die("acks", NULL);
	return true;
}

static void *client(void *arg)
{
	while (measure(arg))
		;
	return NULL;
}

static int run(struct drive *d, char **argv)
{
	struct assay_digest digest = { .alg = ASSAY_HASH_SHA256 };
	struct recorder_config config = { .crypto = d->crypto,
					  .anchor = d->anchor,
					  .gather_us = 200,
					  .core = { .hash = ASSAY_HASH_SHA256, .pcr = 10 },
					  .anchored = on_anchored,
					  .log = on_log,
					  .ctx = d };
	pthread_t threads[THREADS];
	struct assay_err err = { 0 };
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	config.list_dir = argv[2];
	config.list_dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	config.mode = strcmp(argv[3], "each") == 0    ? ANCHOR_EACH
		      : strcmp(argv[3], "group") == 0 ? ANCHOR_GROUP
						      : ANCHOR_ORDERED;
	config.kernel_list = getenv("KERNEL_LIST");
	d->acks = open(argv[4], O_WRONLY | O_APPEND | O_CREAT, 0600);
	d->next = (uint32_t)atoi(argv[5]);
	d->end = d->next + RUN_FILES;
	if (recorder_start(&config, &d->recorder, &err) < 0)
		die("start", &err);
	if (recorder_set_policy(d->recorder, the_policy(), "drive", &digest, &err) < 0)
		die("policy", &err);
	if (write(d->acks, "ready\n", 6) != 6)
		die("acks", NULL);
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, client, d) != 0)
			die("thread", NULL);
	sigwait(&set, &signal);
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_mutex_unlock(&d->lock);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	recorder_stop(d->recorder, "SIGTERM");
	return 0;
}

/* Adds the records of a segment to @all, and replays it; the last one's replay is returned. */
static struct assay_replay *take_segment(struct drive *d, struct assay_bytes file,
					 struct assay_wr *all)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_segment_head head;
	struct assay_replay *replay;
	struct assay_record record;
	struct assay_bytes records;
	struct assay_err err;
	struct assay_step step;
	struct assay_rd in;
	bool is_step;

	if (assay_segment_parse(file, NULL, &head, &records, &err) < 0)
		die("segment", &err);
	if (assay_replay_new(&d->crypto, &head.banks, head.base, &replay) < 0)
		die("replay", NULL);
	for (in = assay_rd(records); !assay_rd_end(&in);) {
		uint64_t at = assay_rd_offset(&in);

		if (assay_record_parse(&in, &form, &record, &err) < 0 ||
		    assay_replay_record(replay, &record, at, &is_step, &step, &err) < 0)
			die("record", &err);
	}
	if (assay_replay_pending(replay) != 0)
		fprintf(stderr, "recorder_drive: %llu records wait for a batch\n",
			(unsigned long long)assay_replay_pending(replay));
	assay_wr_bytes(all, records);
	return replay;
}

static void check_pcrs(struct drive *d, const struct assay_replay *replay)
{
	struct assay_pcr_value seen[ASSAY_PCRS], want;
	struct assay_tpm_clock clock;
	struct assay_banks banks;
	struct assay_err err;

	if (d->anchor.ops->banks(d->anchor.ctx, &banks, &err) < 0 ||
	    d->anchor.ops->read(d->anchor.ctx, 1u << 10 | 1u << 11, seen, &clock, &err) < 0)
		die("TPM", &err);
	for (uint32_t p = 10; p <= 11; p++) {
		assay_replay_pcr(replay, p, ASSAY_EXTEND_REAL, &want);
		for (uint32_t i = 0; i < banks.n; i++)
			if (memcmp(want.value[i], seen[p].value[i],
				   assay_hash_size(banks.alg[i])) != 0) {
				fprintf(stderr, "recorder_drive: PCR %u, %s: list and TPM differ\n",
					p, assay_hash_name(banks.alg[i]));
				exit(1);
			}
	}
}

/* How often each "/f/N" stands in the records. */
static uint8_t *count_names(struct assay_bytes all)
{
	uint8_t *counts = calloc(1, FILES_MAX);
	const uint8_t *at = all.data;
	unsigned i;

	while ((at = memmem(at, (size_t)(all.data + all.len - at), "/f/", 3))) {
		/* n-ng ends in NUL, which the parser has checked. */
		if (sscanf((const char *)at, "/f/%u", &i) == 1 && i < FILES_MAX && counts[i] < 255)
			counts[i]++;
		at += 3;
	}
	return counts;
}

static void check_acks(const char *path, struct assay_bytes all)
{
	uint8_t *counts = count_names(all);
	FILE *f = fopen(path, "re");
	char line[64];
	unsigned n = 0, i;

	if (!f)
		die(path, NULL);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "/f/%u", &i) != 1 || i >= FILES_MAX)
			continue;
		if (counts[i] != (i % 11 == 0 ? 2 : 1)) {
			fprintf(stderr, "recorder_drive: /f/%u is in the list %u times\n", i,
				counts[i]);
			exit(1);
		}
		n++;
	}
	fclose(f);
	free(counts);
	printf("%u acknowledged\n", n);
}

static int check(struct drive *d, char **argv)
{
	AUTO(replay) struct assay_replay *replay = NULL;
	uint8_t *buf = malloc(256u << 20);
	struct assay_wr all = assay_wr(buf, 256u << 20);
	unsigned n = 0;

	for (;;) {
		struct assay_file file = { 0 };
		char path[256];

		snprintf(path, sizeof(path), "%s/segment-%08u", argv[2], n + 1);
		if (assay_file_read(AT_FDCWD, path, 1u << 30, &file, NULL) < 0)
			break;
		assay_replay_free(replay);
		replay = take_segment(d, file.bytes, &all);
		assay_file_free(&file);
		n++;
	}
	if (!replay)
		die("no segment", NULL);
	check_pcrs(d, replay);
	check_acks(argv[3], assay_wr_done(&all));
	free(buf);
	printf("%u segments\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .tcti = getenv("TCTI") };
	struct drive d = { .lock = PTHREAD_MUTEX_INITIALIZER,
			   .anchored = PTHREAD_COND_INITIALIZER };
	struct assay_err err;

	if (assay_crypto_openssl_new(&openssl, &err) < 0 ||
	    assay_anchor_tpm2_new(&config, &tpm, &err) < 0)
		die("TPM", &err);
	d.crypto = assay_crypto_openssl_port(openssl);
	d.anchor = assay_anchor_tpm2_port(tpm);
	if (argc == 6 && strcmp(argv[1], "run") == 0)
		return run(&d, argv);
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return check(&d, argv);
	fputs("usage: recorder_drive run DIR MODE ACKS FIRST | check DIR ACKS\n", stderr);
	return 2;
}
