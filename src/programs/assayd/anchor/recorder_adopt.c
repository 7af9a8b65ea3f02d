/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own records: a stock kernel with IMA and a TPM has extended PCR 10 before us, and
 * may go on. They are taken over only if they explain what the PCRs hold.
 */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/num.h"
#include "engine/merge.h"

#define KERNEL_LIST_MAX (1u << 30) /* bytes */
#define READ_TRIES	10 /* of a list that does not explain the PCRs: the kernel may be at work */

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

void recorder_kernel_free(struct kernel_list *k)
{
	if (k)
		assay_file_free(&k->file);
	free(k);
}

/* The kernel's policy may name PCRs that no TPM has, and its buffers have no limit of ours. */
static int check_fits(const struct assay_record *record, struct assay_err *err)
{
	if (record->pcr < ASSAY_PCRS && record->data.len <= ASSAY_CORE_DATA_MAX)
		return 0;
	return assay_err_set(err, -EOPNOTSUPP, "it has an entry of PCR %u and %zu bytes",
			     record->pcr, record->data.len);
}

int recorder_kernel_load(struct recorder *r, uint64_t skip, struct kernel_list *k,
			 struct assay_err *err)
{
	struct assay_list_form found;
	struct assay_record record;
	struct assay_rd in;
	int rc = assay_file_read(AT_FDCWD, r->config.kernel_list, KERNEL_LIST_MAX, &k->file, err);

	if (rc == 0)
		rc = assay_list_form_detect(k->file.bytes, &found, err);
	if (rc == 0 && (found.big || found.column != ASSAY_HASH_SHA1))
		rc = assay_err_set(err, -EOPNOTSUPP, "not a little-endian list of sha1 digests");
	in = assay_rd(k->file.bytes);
	while (rc == 0 && !assay_rd_end(&in)) {
		if (skip == 0 && !k->records.data)
			k->records = assay_bytes(in.at, assay_rd_left(&in));
		rc = assay_record_parse(&in, &form, &record, err);
		if (rc == 0)
			rc = check_fits(&record, err);
		if (rc < 0)
			break;
		if (skip > 0) {
			skip--;
			continue;
		}
		k->n++;
		k->pcrs |= 1u << record.pcr;
	}
	return rc;
}

uint32_t recorder_kernel_pcrs(struct recorder *r)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));

	if (!k || !r->config.kernel_list || recorder_kernel_load(r, 0, k, NULL) < 0)
		return 0;
	return k->pcrs;
}

/* Leaves the first @n. */
static void cut_records(struct kernel_list *k, uint64_t n)
{
	struct assay_rd in = assay_rd(k->records);
	struct assay_record record;

	k->n = 0;
	k->pcrs = 0;
	while (k->n < n && assay_record_parse(&in, &form, &record, NULL) == 0) {
		k->n++;
		k->pcrs |= 1u << record.pcr;
	}
	k->records.len = assay_rd_offset(&in);
}

/* Leaves those that lead from zero to @seen. -ENOENT: there are none. */
static int find_first(struct recorder *r, struct kernel_list *k, const struct recorder_seen *seen)
{
	struct assay_merge_input in = { .seen = seen->pcr, .pcrs = k->pcrs, .records = k->records };
	AUTO(replay) struct assay_replay *replay = NULL;
	struct assay_merge m;
	int rc = assay_replay_new(&r->config.crypto, &seen->banks, NULL, &replay);

	if (rc == 0)
		rc = assay_merge_find(&r->config.crypto, &seen->banks, replay, &in, &m);
	if (rc == 0 && m.n == 0)
		rc = -ENOENT;
	if (rc < 0)
		return rc;
	cut_records(k, m.n);
	k->padded = m.padded;
	return 0;
}

int recorder_kernel_read(struct recorder *r, struct recorder_seen *seen, struct kernel_list **ret,
			 struct assay_err *err)
{
	*ret = NULL;
	r->kernel_unexplained = 0;
	if (!r->config.kernel_list)
		return 0;
	for (unsigned i = 0; i < READ_TRIES; i++) {
		AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
		struct assay_err why = { 0 };

		if (!k)
			return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
		if (recorder_kernel_load(r, 0, k, &why) < 0) {
			recorder_log(r, LOG_WARNING, "the kernel's list is not used: %s", why.text);
			return 0;
		}
		if (k->n == 0)
			return 0;
		if (!recorder_has_anchor(r) || find_first(r, k, seen) == 0) {
			r->kernel_unexplained = 0;
			*ret = TAKE(k);
			return 0;
		}
		/* If it stays so, the base stands for all that there are. */
		if (r->kernel_unexplained == k->n)
			break;
		r->kernel_unexplained = k->n;
		if (recorder_read(r, seen, err) < 0)
			return err ? err->code : -EIO;
	}
	recorder_log(r, LOG_WARNING, "the kernel's list does not explain the PCRs: not used");
	return 0;
}

struct total_args {
	uint64_t total;
};

static void fill_total(void *ctx, struct assay_wr *w)
{
	const struct total_args *a = ctx;

	assay_state_add_u64(w, "kernel_total", a->total);
}

/* What is owed is refused to others, and goes down by one. */
static int adopt(struct recorder *r, const struct assay_record *record, struct assay_err *err)
{
	uint64_t owed = r->owed;
	int rc;

	r->owed = 0;
	rc = assay_core_adopt(r->core, record, true, err);
	r->owed = owed - (owed > 0 && rc == 0);
	if (owed > 0 && r->owed == 0)
		pthread_cond_broadcast(&r->progress);
	return rc;
}

int recorder_kernel_append(struct recorder *r, struct assay_rd *in, uint64_t n, bool announced,
			   struct assay_err *err)
{
	struct assay_record record;
	int rc = 0;

	for (; rc == 0 && n > 0 && !assay_rd_end(in); n--) {
		rc = assay_record_parse(in, &form, &record, err);
		if (rc < 0)
			break;
		rc = adopt(r, &record, err);
		if (rc == 0 && announced)
			r->announced++;
		else if (rc == 0)
			r->have[record.pcr]++; /* the kernel has extended it */
	}
	return rc;
}

int recorder_adopt_first(struct recorder *r, const struct kernel_list *kernel,
			 struct assay_err *err)
{
	struct total_args args = { .total = kernel->n };
	struct assay_rd in = assay_rd(kernel->records);
	int rc;

	rc = recorder_kernel_append(r, &in, kernel->n, false, err);
	r->kernel_total = kernel->n;
	r->padded = kernel->padded;
	if (rc == 0)
		rc = recorder_state_locked(r, "adopted", fill_total, &args, false, NULL, err);
	return rc;
}

int recorder_adopt_rest(struct recorder *r, uint64_t left, struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
	struct assay_rd in;
	int rc;

	pthread_mutex_lock(&r->lock);
	r->owed = left;
	pthread_mutex_unlock(&r->lock);
	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || left > r->kernel_total ||
	    recorder_kernel_load(r, r->kernel_total - left, k, NULL) < 0)
		return 0;
	in = assay_rd(k->records);
	r->past.plain = 0;
	pthread_mutex_lock(&r->lock);
	rc = recorder_kernel_append(r, &in, left, true, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

bool recorder_is_each(const struct recorder *r)
{
	return r->mode_word[0] == '\0' || strcmp(r->mode_word, "each") == 0;
}

/* How many of the list's last records are the first of @k; @in: where they can begin. */
static uint64_t count_same(struct assay_rd in, const struct kernel_list *k)
{
	struct assay_record record;
	uint64_t n = 0;

	while (!assay_rd_end(&in) && (assay_rd_left(&in) > k->records.len ||
				      memcmp(in.at, k->records.data, assay_rd_left(&in)) != 0))
		if (assay_record_parse(&in, &form, &record, NULL) < 0)
			return 0;
	for (; !assay_rd_end(&in); n++)
		if (assay_record_parse(&in, &form, &record, NULL) < 0)
			return 0;
	return n;
}

int recorder_adopt_unsaid(struct recorder *r, struct assay_err *err)
{
	struct assay_bytes all = assay_list_file_records(r->list);
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));

	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || r->past.plain == 0 || r->past.other_boot ||
	    !recorder_is_each(r) || recorder_kernel_load(r, r->kernel_total, k, NULL) < 0 ||
	    k->n == 0)
		return 0;
	r->kernel_doubt =
		count_same(assay_rd(assay_bytes(all.data + all.len - (size_t)r->past.plain,
						(size_t)r->past.plain)),
			   k);
	r->kernel_total += r->kernel_doubt;
	return 0;
}

int recorder_adopt_say(struct recorder *r, struct assay_err *err)
{
	struct total_args args = { .total = r->kernel_total };

	return recorder_state_locked(r, "adopted", fill_total, &args, true, NULL, err);
}

/* How many records the kernel says that it has; false: it does not. */
static bool read_count(const struct recorder *r, uint64_t *ret)
{
	const char *slash = r->config.kernel_list ? strrchr(r->config.kernel_list, '/') : NULL;
	struct assay_file file = { 0 };
	char path[4096];
	size_t len;
	bool ok;

	if (!slash || (size_t)(slash - r->config.kernel_list) + sizeof("/" RECORDER_COUNT_FILE) >
			      sizeof(path))
		return false;
	len = (size_t)(slash - r->config.kernel_list) + 1;
	memcpy(path, r->config.kernel_list, len);
	memcpy(path + len, RECORDER_COUNT_FILE, sizeof(RECORDER_COUNT_FILE));
	if (assay_file_read(AT_FDCWD, path, 64, &file, NULL) < 0)
		return false;
	for (len = file.bytes.len; len > 0 && file.bytes.data[len - 1] == '\n';)
		len--;
	ok = assay_num_parse(assay_bytes(file.bytes.data, len), 10, UINT64_MAX, ret) == 0;
	assay_file_free(&file);
	return ok;
}

bool recorder_kernel_moved(const struct recorder *r)
{
	uint64_t count;

	return read_count(r, &count) && count != r->kernel_total;
}
