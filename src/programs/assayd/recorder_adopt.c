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
#include "engine/merge.h"

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
	uint64_t at, index; /* the place; NOWHERE: where the record stands */
};

#define NOWHERE UINT64_MAX

static void fill_kernel(void *ctx, struct assay_wr *w)
{
	const struct kernel_args *a = ctx;

	assay_state_add_u64(w, "count", a->count);
	if (a->at != NOWHERE) {
		assay_state_add_u64(w, "at", a->at);
		assay_state_add_u64(w, "index", a->index);
	}
	assay_state_add_u64(w, "kernel_total", a->total);
}

static void fill_total(void *ctx, struct assay_wr *w)
{
	const struct kernel_args *a = ctx;

	assay_state_add_u64(w, "kernel_total", a->total);
}

/* The next @n of them. @announced: they are no steps of ours, which are counted. */
static int append_records(struct recorder *r, struct assay_rd *in, uint64_t n, bool announced,
			  struct assay_err *err)
{
	struct assay_record record;
	int rc = 0;

	for (; rc == 0 && n > 0 && !assay_rd_end(in); n--) {
		rc = assay_record_parse(in, &form, &record, err);
		if (rc < 0)
			break;
		rc = assay_core_adopt(r->core, &record, true, err);
		if (rc == 0 && !announced)
			r->have[record.pcr]++; /* the kernel has extended it */
	}
	return rc;
}

int recorder_adopt_first(struct recorder *r, const struct kernel_list *kernel,
			 struct assay_err *err)
{
	struct kernel_args args = { .total = kernel->n };
	struct assay_rd in = assay_rd(kernel->records);
	uint32_t padded = r->padded;
	int rc;

	rc = append_records(r, &in, kernel->n, false, err);
	r->kernel_total = kernel->n;
	r->padded = padded;
	if (rc == 0)
		rc = recorder_state_locked(r, "adopted", fill_total, &args, false, NULL, err);
	return rc;
}

int recorder_adopt_rest(struct recorder *r, uint64_t left, struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
	struct assay_rd in;
	int rc;

	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || left > r->kernel_total ||
	    load_records(r, r->kernel_total - left, k, NULL) < 0)
		return 0;
	in = assay_rd(k->records);
	pthread_mutex_lock(&r->lock);
	rc = append_records(r, &in, left, true, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* ---- later records -------------------------------------------------------------------------- */

/* The kernel's records that are to be taken over, and where they came between our steps. */
struct later {
	const struct kernel_list *k;
	struct assay_merge merge[ASSAY_PCRS];
	uint64_t before, n; /* of the kernel's: before entry @first; in all */
	uint64_t first;
	uint64_t next; /* the entry that the others came before */
};

static int announce(struct recorder *r, struct assay_rd *in, uint64_t n, uint64_t at,
		    struct assay_err *err)
{
	struct kernel_args args = { n, r->kernel_total + n, at, assay_core_records(r->core) };
	int rc;

	if (n == 0)
		return 0;
	rc = recorder_state_locked(r, "kernel", fill_kernel, &args, false, NULL, err);
	if (rc < 0)
		return rc;
	r->kernel_total += n; /* the announcement says so: adopt_rest() starts from there */
	return append_records(r, in, n, true, err);
}

/* In mode "each" every record is a step, whoever extended it: if none of ours is to come after the
 * kernel's, the list stays in the PCR's order without a word. */
static int append_later(struct recorder *r, const struct later *l, struct assay_err *err)
{
	struct kernel_args args = { .total = r->kernel_total + l->n };
	bool each = r->mode_word[0] == '\0' || strcmp(r->mode_word, "each") == 0;
	bool at_end = l->next == assay_core_records(r->core);
	struct assay_rd in = assay_rd(l->k->records);
	int rc;

	if (each && at_end && l->before == 0) {
		rc = append_records(r, &in, l->n, false, err);
		r->kernel_total += l->n;
		return rc < 0 ? rc
			      : recorder_state_locked(r, "adopted", fill_total, &args, false, NULL,
						      err);
	}
	rc = announce(r, &in, l->before, l->first, err);
	if (rc == 0)
		rc = announce(r, &in, l->n - l->before, each || !at_end ? l->next : NOWHERE, err);
	return rc;
}

static int kernel_digests(struct recorder *r, const struct kernel_list *k,
			  const struct assay_banks *banks, struct assay_pcr_value *ret)
{
	struct assay_rd in = assay_rd(k->records);
	struct assay_record_digests d;
	struct assay_checker checker;
	struct assay_record record;
	int rc = assay_checker_init(&checker, &r->config.crypto, banks, &form, false);

	for (uint64_t i = 0; rc == 0 && i < k->n; i++) {
		rc = assay_record_parse(&in, &form, &record, NULL);
		if (rc == 0)
			rc = assay_checker_digests(&checker, &record, &d, NULL);
		if (rc == 0)
			ret[i] = d.bank;
	}
	return rc;
}

/* The few orders of the kernel's records and the last of ours in the one PCR that they extend. */
static int try_orders(struct recorder *r, const struct recorder_seen *seen, uint32_t pcr,
		      struct later *l)
{
	struct assay_pcr_value *digests;
	struct assay_merge_input in = { .pcr = pcr, .seen = &seen->pcr[pcr] };
	struct assay_merge *m = &l->merge[pcr];
	int rc;

	if (r->padded || l->k->n > ASSAY_MERGE_MAX)
		return -ENOENT;
	digests = calloc(l->k->n, sizeof(*digests));
	if (!digests)
		return -ENOMEM;
	in.digests = digests;
	in.n = (uint32_t)l->k->n;
	rc = kernel_digests(r, l->k, &seen->banks, digests);
	if (rc == 0)
		rc = assay_merge_find(&r->config.crypto, &seen->banks, r->replay, &in, m);
	free(digests);
	if (rc < 0)
		return rc;
	l->before = m->before;
	l->n = m->taken;
	if (m->before > 0)
		l->first = assay_replay_tail(r->replay, pcr, m->back)->index;
	return 0;
}

/* The PCRs that the kernel did not extend have our steps, but for the last few. */
static int place_others(struct recorder *r, const struct recorder_seen *seen, struct later *l)
{
	int rc = 0;

	for (uint32_t p = 0; rc == 0 && p < ASSAY_PCRS; p++) {
		struct assay_merge_input in = { .pcr = p, .seen = &seen->pcr[p] };
		struct assay_pcr_value now;

		if (l->k->pcrs & 1u << p || r->seen[p] == 0)
			continue;
		recorder_value(r, p, &now);
		if (memcmp(&now, &seen->pcr[p], sizeof(now)) != 0)
			rc = assay_merge_find(&r->config.crypto, &seen->banks, r->replay, &in,
					      &l->merge[p]);
	}
	return rc;
}

/* 0: @l is filled. -ENOENT: nothing explains what was seen. */
static int find_order(struct recorder *r, const struct recorder_seen *seen, struct later *l)
{
	struct assay_pcr_value now[ASSAY_PCRS];
	uint32_t padded, pcrs = l->k->pcrs;
	int rc = 0;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		recorder_value(r, p, &now[p]);
	if (!explains(r, l->k, now, seen, &padded) || padded != 0) {
		if (pcrs == 0 || (pcrs & (pcrs - 1)) != 0)
			return -ENOENT;
		rc = try_orders(r, seen, (uint32_t)__builtin_ctz(pcrs), l);
	}
	if (rc == 0)
		rc = place_others(r, seen, l);
	l->next = assay_replay_records(r->replay);
	for (uint32_t p = 0; rc == 0 && p < ASSAY_PCRS; p++) {
		const struct assay_merge *m = &l->merge[p];

		if (m->back > m->between && pcrs & 1u << p)
			l->next = assay_replay_tail(r->replay, p, m->back - m->between)->index;
	}
	return rc;
}

/* The walk goes on where it is, or begins anew if some of our steps are still to be extended. */
static int settle(struct recorder *r, const struct later *l, struct assay_err *err)
{
	bool missing = false;

	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		const struct assay_merge *m = &l->merge[p];
		uint32_t lack = m->back - m->between - m->behind;

		r->have[p] -= lack;
		missing |= lack > 0;
	}
	r->check_from = assay_list_file_records(r->list).len;
	return missing ? recorder_rewind(r, err) : 0;
}

int recorder_adopt_later(struct recorder *r, const struct recorder_seen *seen, bool *ret_done,
			 struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
	struct later l = { .k = k };
	int rc;

	*ret_done = false;
	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || load_records(r, r->kernel_total, k, err) < 0 || k->n == 0)
		return 0;
	l.n = k->n;
	rc = find_order(r, seen, &l);
	if (rc < 0 || l.n == 0)
		return rc == -ENOMEM
			       ? assay_err_set(err, rc, "no memory to order the kernel's records")
			       : 0;
	pthread_mutex_lock(&r->lock);
	rc = append_later(r, &l, err);
	pthread_mutex_unlock(&r->lock);
	if (rc == 0)
		rc = settle(r, &l, err);
	*ret_done = rc == 0;
	return rc;
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
