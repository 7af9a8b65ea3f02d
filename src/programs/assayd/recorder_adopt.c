/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's own records: a stock kernel with IMA and a TPM has extended PCR 10 before us, and
 * may go on. They are taken over only if they explain what the PCRs hold.
 */
#include "programs/assayd/recorder_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/num.h"

#define KERNEL_LIST_MAX (1u << 30) /* bytes */
#define COUNT_FILE	"runtime_measurements_count"
#define READ_TRIES	3 /* while the kernel goes on measuring */

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

/* The records after the first @skip; which PCRs they extend. */
static int load_records(struct recorder *r, uint64_t skip, struct kernel_list *k,
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

/* Whether the records lead from @base to @seen; *ret_padded: the banks that need padded digests. */
static bool explains(struct recorder *r, const struct kernel_list *k,
		     const struct assay_pcr_value base[ASSAY_PCRS],
		     const struct recorder_seen *seen, uint32_t *ret_padded)
{
	AUTO(replay) struct assay_replay *replay = NULL;
	struct assay_rd in = assay_rd(k->records);
	struct assay_pcr_value real, padded;
	struct assay_record record;
	struct assay_step step;
	uint32_t pad = 0;
	bool is_step;

	if (assay_replay_new(&r->config.crypto, &seen->banks, base, &replay) < 0)
		return false;
	while (!assay_rd_end(&in)) {
		uint64_t at = assay_rd_offset(&in);

		if (assay_record_parse(&in, &form, &record, NULL) < 0 ||
		    assay_replay_record(replay, &record, at, &is_step, &step, NULL) < 0)
			return false;
	}
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		if (!(k->pcrs & 1u << p))
			continue;
		assay_replay_pcr(replay, p, ASSAY_EXTEND_REAL, &real);
		assay_replay_pcr(replay, p, ASSAY_EXTEND_PADDED_FF, &padded);
		for (uint32_t i = 0; i < seen->banks.n; i++) {
			size_t size = assay_hash_size(seen->banks.alg[i]);

			if (memcmp(real.value[i], seen->pcr[p].value[i], size) == 0)
				continue;
			if (memcmp(padded.value[i], seen->pcr[p].value[i], size) != 0)
				return false;
			pad |= 1u << i;
		}
	}
	*ret_padded = pad;
	return true;
}

int recorder_kernel_read(struct recorder *r, struct recorder_seen *seen, struct kernel_list **ret,
			 struct assay_err *err)
{
	static const struct assay_pcr_value zero[ASSAY_PCRS];

	*ret = NULL;
	r->kernel_unexplained = 0;
	if (!r->config.kernel_list)
		return 0;
	for (unsigned i = 0; i < READ_TRIES; i++) {
		AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
		struct assay_err why = { 0 };

		if (!k)
			return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
		if (load_records(r, 0, k, &why) < 0) {
			recorder_log(r, LOG_WARNING, "the kernel's list is not used: %s", why.text);
			return 0;
		}
		if (k->n == 0)
			return 0;
		if (!recorder_has_anchor(r) || explains(r, k, zero, seen, &r->padded)) {
			r->kernel_unexplained = 0;
			*ret = TAKE(k);
			return 0;
		}
		r->kernel_unexplained = k->n;
		if (recorder_read(r, seen, err) < 0)
			return err ? err->code : -EIO;
	}
	recorder_log(r, LOG_WARNING, "the kernel's list does not explain the PCRs: not used");
	return 0;
}

struct kernel_args {
	uint64_t count, total;
};

static void fill_kernel(void *ctx, struct assay_wr *w)
{
	const struct kernel_args *a = ctx;

	assay_state_add_u64(w, "count", a->count);
	assay_state_add_u64(w, "kernel_total", a->total);
}

static void fill_total(void *ctx, struct assay_wr *w)
{
	const struct kernel_args *a = ctx;

	assay_state_add_u64(w, "kernel_total", a->total);
}

static int append_records(struct recorder *r, const struct kernel_list *k, struct assay_err *err)
{
	struct assay_rd in = assay_rd(k->records);
	struct assay_record record;
	int rc = 0;

	while (rc == 0 && !assay_rd_end(&in)) {
		rc = assay_record_parse(&in, &form, &record, err);
		if (rc < 0)
			break;
		rc = assay_core_adopt(r->core, &record, true, err);
		if (rc == 0)
			r->have[record.pcr]++; /* the kernel has extended it */
	}
	r->kernel_total += k->n;
	return rc;
}

int recorder_adopt_first(struct recorder *r, const struct kernel_list *kernel,
			 struct assay_err *err)
{
	struct kernel_args args = { kernel->n, kernel->n };
	uint32_t padded = r->padded;
	int rc;

	r->kernel_total = 0;
	rc = append_records(r, kernel, err);
	r->padded = padded;
	if (rc == 0)
		rc = recorder_state_locked(r, "adopted", fill_total, &args, false, NULL, err);
	return rc;
}

/* In mode "group" the list must say which records are the kernel's; in mode "each" every record is
 * a step, whoever extended it. */
static int append_later(struct recorder *r, const struct kernel_list *k, struct assay_err *err)
{
	struct kernel_args args = { k->n, r->kernel_total + k->n };
	bool each = r->mode_word[0] == '\0' || strcmp(r->mode_word, "each") == 0;
	int rc = 0;

	/* Steps of our own that are written and not extended would come before the kernel's. */
	if (each && assay_list_file_records(r->list).len != r->cursor)
		return -EBUSY;
	if (!each)
		rc = recorder_state_locked(r, "kernel", fill_kernel, &args, false, NULL, err);
	if (rc == 0)
		rc = append_records(r, k, err);
	if (rc == 0 && each)
		rc = recorder_state_locked(r, "adopted", fill_total, &args, false, NULL, err);
	return rc;
}

int recorder_adopt_later(struct recorder *r, const struct recorder_seen *seen, bool *ret_done,
			 struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
	struct assay_pcr_value now[ASSAY_PCRS];
	uint32_t padded;
	int rc;

	*ret_done = false;
	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || load_records(r, r->kernel_total, k, err) < 0 || k->n == 0)
		return 0;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		recorder_value(r, p, &now[p]);
	if (!explains(r, k, now, seen, &padded) || padded != 0)
		return 0;
	pthread_mutex_lock(&r->lock);
	rc = append_later(r, k, err);
	pthread_mutex_unlock(&r->lock);
	*ret_done = rc == 0;
	return rc == -EBUSY ? 0 : rc;
}

bool recorder_kernel_moved(const struct recorder *r)
{
	const char *slash = r->config.kernel_list ? strrchr(r->config.kernel_list, '/') : NULL;
	struct assay_file file = { 0 };
	char path[4096];
	size_t len;
	uint64_t count;
	bool moved;

	if (!slash ||
	    (size_t)(slash - r->config.kernel_list) + sizeof("/" COUNT_FILE) > sizeof(path))
		return false;
	len = (size_t)(slash - r->config.kernel_list) + 1;
	memcpy(path, r->config.kernel_list, len);
	memcpy(path + len, COUNT_FILE, sizeof(COUNT_FILE));
	if (assay_file_read(AT_FDCWD, path, 64, &file, NULL) < 0)
		return false;
	for (len = file.bytes.len; len > 0 && file.bytes.data[len - 1] == '\n';)
		len--;
	moved = assay_num_parse(assay_bytes(file.bytes.data, len), 10, UINT64_MAX, &count) == 0 &&
		count != r->kernel_total;
	assay_file_free(&file);
	return moved;
}
