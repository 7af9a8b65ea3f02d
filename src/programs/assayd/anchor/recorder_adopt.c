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

uint32_t recorder_kernel_pcrs(struct recorder *r)
{
	AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));

	if (!k || !r->config.kernel_list || load_records(r, 0, k, NULL) < 0)
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
		if (load_records(r, 0, k, &why) < 0) {
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
	int rc;

	rc = append_records(r, &in, kernel->n, false, err);
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

	if (!k)
		return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
	if (!r->config.kernel_list || left > r->kernel_total ||
	    load_records(r, r->kernel_total - left, k, NULL) < 0)
		return 0;
	in = assay_rd(k->records);
	r->past.plain = 0;
	pthread_mutex_lock(&r->lock);
	rc = append_records(r, &in, left, true, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* In mode "each" every record is a step, whoever extended it. */
static bool is_each(const struct recorder *r)
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
	if (!r->config.kernel_list || r->past.plain == 0 || r->past.other_boot || !is_each(r) ||
	    load_records(r, r->kernel_total, k, NULL) < 0 || k->n == 0)
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
	struct kernel_args args = { .total = r->kernel_total };

	return recorder_state_locked(r, "adopted", fill_total, &args, true, NULL, err);
}

/* ---- later records -------------------------------------------------------------------------- */

static int announce(struct recorder *r, struct assay_rd *in, uint64_t n, uint64_t at,
		    struct assay_err *err)
{
	struct kernel_args args = { n, r->kernel_total + n, at, assay_core_records(r->core) };
	int rc = recorder_state_locked(r, "kernel", fill_kernel, &args, false, NULL, err);

	if (rc < 0)
		return rc;
	r->kernel_total += n; /* the announcement says so: adopt_rest() starts from there */
	return append_records(r, in, n, true, err);
}

static int append_plain(struct recorder *r, const struct kernel_list *k, uint64_t n,
			struct assay_err *err)
{
	struct assay_rd in = assay_rd(k->records);
	uint64_t before = assay_core_records(r->core);
	int rc = append_records(r, &in, n, false, err);
	int said;

	r->kernel_total += assay_core_records(r->core) - before;
	said = recorder_adopt_say(r, rc < 0 ? NULL : err); /* also if there was no more room */
	return rc < 0 ? rc : said;
}

static bool lacks_any(const struct assay_merge *m)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (assay_merge_lack(m, p) > 0)
			return true;
	return false;
}

/* What the list has where the kernel's records are announced. With the lock. */
struct later_place {
	bool each, at_end;
	bool waits;	   /* steps of ours that are still to be extended */
	uint64_t unwalked; /* records that the replay did not take yet */
	uint64_t said;	   /* announcements, each a step itself in mode "each" */
};

/* Whether a replay of the list can still go back before entry @at when it has read one more. */
static bool reaches(const struct recorder *r, const struct later_place *l, uint64_t at)
{
	return assay_replay_steps_from(r->replay, at) + l->unwalked + l->said < ASSAY_TAIL_MAX;
}

/* Those that came before the same entry are announced together. After all that was extended is,
 * with the lock, still before what is written and was not. In mode "each", if no step of ours is
 * behind the kernel's, the list stays in the PCR's order without a word.
 *
 * There an announcement is a step: one that waits behind others. While any wait no more than one is
 * made for each that is extended, or a kernel faster than we are would push what waits out of a
 * replay's reach. The rest, all behind our last extend, is found before the next one. */
static int append_later(struct recorder *r, const struct kernel_list *k,
			const struct assay_merge *m, struct assay_err *err)
{
	bool at_end = r->cursor == assay_list_file_records(r->list).len;
	struct later_place l = { .each = is_each(r),
				 .at_end = at_end,
				 .waits = !at_end || lacks_any(m),
				 .unwalked = assay_core_records(r->core) -
					     assay_replay_records(r->replay) };
	struct assay_rd in = assay_rd(k->records);
	struct assay_merge_walk walk;
	uint64_t at;
	uint32_t n;
	int rc = 0;

	assay_merge_walk_init(&walk, m, r->replay, k->records);
	for (; rc == 0; l.said++) {
		bool behind = assay_merge_behind(&walk, m);

		if (!assay_merge_next(&walk, m, r->replay, &n, &at))
			break;
		if (at == NOWHERE && l.each && at_end && n == m->n && !m->padded)
			return append_plain(r, k, n, err);
		if (at == NOWHERE && (l.each || !at_end))
			at = assay_replay_records(r->replay);
		if (l.each && l.said > 0 && l.waits && behind)
			break;
		if (l.each && !reaches(r, &l, at))
			return l.said > 0 ? 0 : -ERANGE;
		rc = announce(r, &in, n, at, err);
	}
	return rc;
}

/* The walk goes on where it is, or begins anew if some of our steps are still to be extended. */
static int settle(struct recorder *r, const struct assay_merge *m, struct assay_err *err)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		r->have[p] -= assay_merge_lack(m, p);
	r->places++;
	r->placed = true;
	r->padded |= m->padded;
	r->check_from = assay_list_file_records(r->list).len;
	return lacks_any(m) ? recorder_rewind(r, err) : 0;
}

/* -ERANGE: too much waits; nothing is written. */
static int take_over(struct recorder *r, const struct kernel_list *k, const struct assay_merge *m,
		     struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = append_later(r, k, m, err);
	pthread_mutex_unlock(&r->lock);
	return rc < 0 ? rc : settle(r, m, err);
}

/* Reads the list once more after each look at the PCRs: it then has what they have, or more. *ret
 * NULL: it cannot be used. */
static int load_later(struct recorder *r, uint64_t skip, struct recorder_seen *seen,
		      struct kernel_list **ret, struct assay_err *err)
{
	for (;;) {
		AUTO(kernel_list) struct kernel_list *k = calloc(1, sizeof(*k));
		uint32_t pcrs;
		int rc;

		*ret = NULL;
		if (!k)
			return assay_err_set(err, -ENOMEM, "no memory for the kernel's list");
		if (load_records(r, skip, k, NULL) < 0)
			return 0;
		pcrs = recorder_used(r) | k->pcrs;
		if ((pcrs & ~seen->pcrs) == 0) {
			*ret = TAKE(k);
			return 0;
		}
		rc = recorder_read_pcrs_of(r, pcrs, seen, err);
		if (rc < 0)
			return rc;
	}
}

/* Those after the first @skip. */
static int try_later(struct recorder *r, uint64_t skip, struct recorder_seen *seen, uint32_t most,
		     bool *ret_done, struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *k = NULL;
	uint64_t total = r->kernel_total;
	struct assay_merge_input in;
	struct assay_merge m;
	int rc = load_later(r, skip, seen, &k, err);

	if (rc < 0 || !k)
		return rc;
	in = (struct assay_merge_input){ seen->pcr, recorder_used(r) | k->pcrs, k->records, most };
	rc = assay_merge_find(&r->config.crypto, &seen->banks, r->replay, &in, &m);
	if (rc == -ENOMEM)
		return assay_err_set(err, rc, "no memory to order the kernel's records");
	if (rc < 0 || m.n == 0)
		return 0;
	r->kernel_total = skip;
	rc = take_over(r, k, &m, err);
	*ret_done = rc != -ERANGE;
	if (*ret_done)
		return rc;
	r->kernel_total = total;
	recorder_log(r, LOG_WARNING,
		     "the kernel extended before entries of the list that are too far back");
	return 0;
}

/* A kernel that another one has started (kexec) begins a list of its own, or goes on with that of
 * the other; the PCRs know nothing of it. */
int recorder_adopt_later(struct recorder *r, struct recorder_seen *seen, uint32_t most,
			 bool *ret_done, struct assay_err *err)
{
	int rc;

	*ret_done = false;
	if (!r->config.kernel_list)
		return 0;
	rc = try_later(r, r->kernel_total, seen, most, ret_done, err);
	if (rc == 0 && !*ret_done && r->kernel_doubt > 0)
		rc = try_later(r, r->kernel_total - r->kernel_doubt, seen, most, ret_done, err);
	if (rc == 0 && !*ret_done && r->past.other_boot)
		rc = try_later(r, 0, seen, most, ret_done, err);
	if (rc == 0 && *ret_done) {
		r->past.other_boot = false;
		r->kernel_doubt = 0;
	}
	return rc;
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

int recorder_look_again(struct recorder *r, bool *ret_looked, struct assay_err *err)
{
	int rc;

	*ret_looked = r->cursor < r->check_from && !r->placed && recorder_kernel_moved(r);
	if (!*ret_looked)
		return 0;
	r->places++;
	rc = recorder_place(r, false, NULL, err);
	r->placed = rc == 0;
	return rc;
}
