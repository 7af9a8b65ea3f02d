/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/replay_private.h"

#include <errno.h>
#include <stdlib.h>

#include "base/num.h"
#include "formats/batch.h"

#define SMALL_DATA 1024u /* a covered record below this is hashed in one piece */

int assay_replay_new(const struct assay_crypto *crypto, const struct assay_banks *banks,
		     const struct assay_pcr_value base[ASSAY_PCRS], struct assay_replay **ret)
{
	AUTO(replay) struct assay_replay *r = calloc(1, sizeof(*r));
	struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	int error;

	if (!r)
		return -ENOMEM;
	r->crypto = *crypto;
	r->banks = *banks;
	r->compared = UINT32_MAX;
	for (unsigned kind = 0; kind < ASSAY_EXTEND_KIND_COUNT; kind++) {
		r->follow[kind] = true;
		for (unsigned i = 0; base && i < ASSAY_PCRS; i++)
			r->value[kind][i] = base[i];
	}
	error = assay_replay_set_form(r, &form);
	if (error < 0)
		return error;
	*ret = TAKE(r);
	return 0;
}

void assay_replay_free(struct assay_replay *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < PCRS; i++)
		for (unsigned k = 0; k < ASSAY_BANKS_MAX; k++)
			if (r->pcr[i].hash[k])
				r->crypto.ops->hash_free(r->pcr[i].hash[k]);
	free(r);
}

int assay_replay_copy(const struct assay_replay *r, struct assay_replay **ret)
{
	AUTO(replay) struct assay_replay *copy = malloc(sizeof(*copy));
	int error = 0;

	if (!copy)
		return -ENOMEM;
	*copy = *r;
	copy->state = assay_bytes(NULL, 0);
	for (unsigned i = 0; i < PCRS; i++)
		for (unsigned k = 0; k < ASSAY_BANKS_MAX; k++)
			copy->pcr[i].hash[k] = NULL;
	for (unsigned i = 0; i < PCRS; i++)
		for (unsigned k = 0; error == 0 && k < ASSAY_BANKS_MAX; k++)
			if (r->pcr[i].count > 0 && r->pcr[i].hash[k])
				error = r->crypto.ops->hash_copy(r->pcr[i].hash[k],
								 &copy->pcr[i].hash[k]);
	if (error == 0)
		*ret = TAKE(copy);
	return error;
}

int assay_replay_set_form(struct assay_replay *r, const struct assay_list_form *form)
{
	return assay_checker_init(&r->checker, &r->crypto, &r->banks, form, true);
}

void assay_replay_set_own(struct assay_replay *r)
{
	uint32_t bank = 0; /* the first, unless there is one for which CPUs have instructions */

	assay_banks_find(&r->banks, ASSAY_HASH_SHA256, &bank);
	r->compared = 1u << bank;
}

void assay_replay_set_anchored(struct assay_replay *r)
{
	r->anchored = true;
}

void assay_replay_follow(struct assay_replay *r, enum assay_extend_kind kind, bool follow)
{
	r->follow[kind] = follow;
}

/* ---- covered records and their batch record ------------------------------------------------- */

static bool is_compared(const struct assay_replay *r, uint32_t bank)
{
	return r->compared & 1u << bank;
}

static int pending_begin(struct assay_replay *r, struct pending *p)
{
	for (uint32_t i = 0; i < r->banks.n; i++) {
		int error;

		if (!is_compared(r, i))
			continue;
		error = p->hash[i] ? r->crypto.ops->hash_init(p->hash[i])
				   : r->crypto.ops->hash_new(r->crypto.ctx, r->banks.alg[i],
							     &p->hash[i]);

		if (error < 0)
			return error;
	}
	p->first = r->records;
	return 0;
}

/* One update for what is short, two for the rest. */
static int pending_hash(struct assay_replay *r, struct pending *p,
			const struct assay_record *record)
{
	uint8_t buf[ASSAY_BATCH_HEAD_MAX + SMALL_DATA];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	bool small = record->data.len <= SMALL_DATA;
	int error = 0;

	assay_batch_head(record->pcr, record->template_name, record->violation, record->data.len,
			 &w);
	if (small)
		assay_wr_bytes(&w, record->data);
	for (uint32_t i = 0; error == 0 && i < r->banks.n; i++) {
		if (!is_compared(r, i))
			continue;
		error = r->crypto.ops->hash_update(p->hash[i], assay_wr_done(&w));
		if (error == 0 && !small)
			error = r->crypto.ops->hash_update(p->hash[i], record->data);
	}
	return error;
}

static int take_covered(struct assay_replay *r, const struct assay_record *record,
			struct assay_err *err)
{
	struct pending *p = &r->pcr[record->pcr];
	int error = 0;

	if (p->count == 0)
		error = pending_begin(r, p);
	if (error == 0)
		error = pending_hash(r, p, record);
	if (error < 0)
		return assay_err_set(err, error, "cannot compute a batch digest");
	p->count++;
	r->pending++;
	r->covered++;
	return 0;
}

static int compare_digests(struct assay_replay *r, struct pending *p, const struct assay_batch *b,
			   struct assay_err *err)
{
	unsigned compared = 0;

	for (uint32_t i = 0; i < r->banks.n; i++) {
		uint8_t digest[ASSAY_HASH_SIZE_MAX];
		int error;

		if (!is_compared(r, i))
			continue;
		error = r->crypto.ops->hash_final(p->hash[i], digest);
		if (error < 0)
			return assay_err_set(err, error, "cannot compute a batch digest");
		for (uint32_t k = 0; k < b->n_banks; k++) {
			if (b->digest[k].alg != r->banks.alg[i])
				continue;
			if (memcmp(digest, b->digest[k].data, assay_hash_size(b->digest[k].alg)) !=
			    0)
				return assay_err_set(err, -EKEYREJECTED,
						     "batch record's %s digest is not that of the "
						     "%llu entries it covers (from entry %llu on)",
						     assay_hash_name(b->digest[k].alg),
						     (unsigned long long)b->count,
						     (unsigned long long)b->first);
			compared++;
		}
	}
	if (compared)
		return 0;
	return assay_err_set(err, -EOPNOTSUPP,
			     "batch record has a digest for none of the banks that are followed");
}

/* The records that it stands for are not in the list: only the counts can be checked. */
static int take_absent(struct assay_replay *r, struct pending *p, const struct assay_batch *b,
		       struct assay_err *err)
{
	if (r->covered)
		return assay_err_set(err, -EBADMSG,
				     "batch record covers %llu entries that are not in the list",
				     (unsigned long long)b->count);
	if (b->first < p->floor)
		return assay_err_set(err, -EBADMSG,
				     "batch record covers entries from %llu on, which are "
				     "covered already",
				     (unsigned long long)b->first);
	if (b->count > UINT64_MAX / 2 - r->absent)
		return assay_err_set(err, -EBADMSG, "batch record covers more than can be");
	r->anchored = true;
	r->absent += b->count;
	return 0;
}

static int take_present(struct assay_replay *r, struct pending *p, const struct assay_batch *b,
			struct assay_err *err)
{
	int error;

	if (b->first != p->first || b->count != p->count)
		return assay_err_set(err, -EBADMSG,
				     "batch record covers %llu entries from %llu on, but %llu "
				     "from %llu on wait for it",
				     (unsigned long long)b->count, (unsigned long long)b->first,
				     (unsigned long long)p->count, (unsigned long long)p->first);
	error = compare_digests(r, p, b, err);
	if (error < 0)
		return error;
	r->pending -= p->count;
	p->count = 0;
	return 0;
}

static int take_batch(struct assay_replay *r, uint32_t pcr, struct assay_bytes buf,
		      struct assay_err *err)
{
	struct pending *p = &r->pcr[pcr];
	struct assay_batch b;
	int error = assay_batch_parse(buf, &b, err);

	if (error < 0)
		return error;
	if (r->mode != ASSAY_LIST_GROUP)
		return assay_err_set(err, -EBADMSG, "batch record outside mode 'group'");
	if (b.sequence != r->batches + 1)
		return assay_err_set(err, -EBADMSG, "batch record number %llu where %llu is due",
				     (unsigned long long)b.sequence,
				     (unsigned long long)r->batches + 1);
	error = p->count ? take_present(r, p, &b, err) : take_absent(r, p, &b, err);
	if (error < 0)
		return error;
	r->batches++;
	p->floor = b.first + b.count;
	return 0;
}

/* ---- assay's own records -------------------------------------------------------------------- */

static int take_mode(struct assay_replay *r, struct assay_bytes buf, struct assay_err *err)
{
	struct assay_bytes word = assay_state_get(buf, "mode");

	if (r->pending)
		return assay_err_set(err, -EBADMSG,
				     "the mode changes while %llu entries wait for a batch record",
				     (unsigned long long)r->pending);
	if (assay_bytes_is(word, "each"))
		r->mode = ASSAY_LIST_EACH;
	else if (assay_bytes_is(word, "group") || assay_bytes_is(word, "ordered"))
		r->mode = ASSAY_LIST_GROUP;
	else
		return assay_err_set(err, -EOPNOTSUPP, "unknown mode '%s'",
				     assay_err_quote(word).text);
	return 0;
}

static int take_at(struct assay_replay *r, struct assay_bytes at, struct assay_bytes index,
		   struct assay_err *err)
{
	uint64_t here;

	if (assay_num_parse(at, 10, UINT64_MAX - 1, &r->kernel_at) < 0 ||
	    assay_num_parse(index, 10, UINT64_MAX, &here) < 0 || r->kernel_at > here)
		return assay_err_set(err, -EBADMSG, "state record 'kernel' with a wrong place");
	if (here == r->records && !r->anchored)
		return 0;
	/* In the anchored form what it announced stands where it was extended, before this. */
	if (r->mode != ASSAY_LIST_EACH)
		return assay_err_set(err, -EBADMSG,
				     "state record 'kernel' says that it is entry %llu",
				     (unsigned long long)here);
	r->kernel_left = 0;
	return 0;
}

static int take_kernel(struct assay_replay *r, struct assay_bytes buf, struct assay_err *err)
{
	struct assay_bytes at = assay_state_get(buf, "at");

	if (assay_num_parse(assay_state_get(buf, "count"), 10, UINT64_MAX, &r->kernel_left) < 0)
		return assay_err_set(err, -EBADMSG, "state record 'kernel' without a count");
	r->kernel_at = NOWHERE;
	return at.len ? take_at(r, at, assay_state_get(buf, "index"), err) : 0;
}

static int take_state(struct assay_replay *r, struct assay_bytes buf, bool *ret_is_step,
		      struct assay_err *err)
{
	struct assay_bytes event;
	int error = assay_state_check(buf, err);

	if (error < 0)
		return error;
	r->saw_state = true;
	r->state = buf;
	event = assay_state_get(buf, "event");
	if (assay_bytes_is(event, "kernel"))
		return take_kernel(r, buf, err);
	if (!assay_bytes_is(event, "mode"))
		return 0;
	*ret_is_step = true;
	return take_mode(r, buf, err);
}

static bool take_field(struct assay_rd *in, struct assay_bytes *ret)
{
	uint32_t len;

	return assay_rd_u32(in, &len) && assay_rd_bytes(in, len, ret);
}

enum own { OWN_NOT, OWN_STATE, OWN_BATCH };

/* Whether a record is assay's, from its data alone: the template's name is in no digest, and one
 * that was renamed must not pass for an entry of another kind. */
static enum own own_kind(const struct assay_replay *r, const struct assay_record *record,
			 struct assay_bytes *ret_buf)
{
	struct assay_rd in = assay_rd(record->data);
	struct assay_bytes digest, name;

	in.big = r->checker.form.big;
	if (record->violation || record->legacy || !take_field(&in, &digest) ||
	    !take_field(&in, &name) || !take_field(&in, ret_buf) || !assay_rd_end(&in))
		return OWN_NOT;
	name = assay_field_text(name);
	if (assay_bytes_is(name, ASSAY_STATE_NAME) && assay_state_is(*ret_buf))
		return OWN_STATE;
	if (assay_bytes_is(name, ASSAY_BATCH_NAME) && assay_batch_is(*ret_buf))
		return OWN_BATCH;
	return OWN_NOT;
}

bool assay_replay_is_state(const struct assay_replay *r, const struct assay_record *record,
			   struct assay_bytes *ret_buf)
{
	return own_kind(r, record, ret_buf) == OWN_STATE;
}

/* Finds out what the record is and applies what it says; *ret_is_step is preset by the mode. A
 * batch record is never the kernel's: announced as such, what it covers could be left out. */
static int take_own(struct assay_replay *r, const struct assay_record *record, bool *ret_is_step,
		    struct assay_err *err)
{
	struct assay_bytes buf;
	enum own own = own_kind(r, record, &buf);

	if (own == OWN_NOT || (r->of_kernel && own == OWN_STATE))
		return 0;
	if (r->of_kernel)
		return assay_err_set(err, -EBADMSG, "batch record among the kernel's records");
	if (!assay_bytes_is(record->template_name, "ima-buf"))
		return assay_err_set(err, -EBADMSG, "record of assay's under the template '%s'",
				     assay_err_quote(record->template_name).text);
	if (own == OWN_STATE)
		return take_state(r, buf, ret_is_step, err);
	*ret_is_step = true;
	r->role = ASSAY_ROLE_BATCH;
	return take_batch(r, record->pcr, buf, err);
}

static int take_record(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
		       struct assay_record_digests *d, bool *ret_is_step,
		       struct assay_step *ret_step, struct assay_err *err)
{
	bool is_step = r->mode == ASSAY_LIST_EACH || r->kernel_left > 0 || r->anchored;
	uint64_t pending = r->pending;
	int error;

	if (record->pcr >= PCRS)
		return assay_err_set(err, -EINVAL, "PCR index %u", record->pcr);
	r->role = ASSAY_ROLE_STEP;
	r->state = assay_bytes(NULL, 0);
	r->of_kernel = r->announced = r->kernel_left > 0;
	r->behind = 0;
	r->kernel_left -= r->of_kernel;
	error = take_own(r, record, &is_step, err);
	if (error < 0)
		return error;
	r->of_kernel |= !r->saw_state;
	if (!is_step)
		r->role = ASSAY_ROLE_COVERED;
	if (is_step && !d->extends)
		error = assay_checker_extends(&r->checker, record, d, err);
	if (error < 0)
		return error;
	error = is_step ? assay_replay_step(r, record, offset, d, pending - r->pending + 1,
					    ret_step, err)
			: take_covered(r, record, err);
	if (error < 0)
		return error;
	r->records++;
	*ret_is_step = is_step;
	return 0;
}

int assay_replay_checked(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
			 struct assay_record_digests *digests, bool *ret_is_step,
			 struct assay_step *ret_step, struct assay_err *err)
{
	struct assay_err why;
	int error;

	why.text[0] = '\0'; /* all of it, for each of a million records, would show */
	error = take_record(r, record, offset, digests, ret_is_step, ret_step, &why);
	if (error < 0)
		return assay_err_at(err, error, offset, "entry %llu: %s",
				    (unsigned long long)r->records, why.text);
	return 0;
}

int assay_replay_record(struct assay_replay *r, const struct assay_record *record, uint64_t offset,
			bool *ret_is_step, struct assay_step *ret_step, struct assay_err *err)
{
	struct assay_record_digests digests;
	struct assay_err why = { 0 };
	int error = assay_checker_record(&r->checker, record, &digests, &why);

	if (error < 0)
		return assay_err_at(err, error, offset, "entry %llu: %s",
				    (unsigned long long)r->records, why.text);
	return assay_replay_checked(r, record, offset, &digests, ret_is_step, ret_step, err);
}

/* ---- what can be asked ---------------------------------------------------------------------- */

const struct assay_pcr_value *assay_replay_value(const struct assay_replay *r, uint32_t pcr,
						 enum assay_extend_kind kind)
{
	static const struct assay_pcr_value none;

	return pcr < PCRS && r->follow[kind] ? &r->value[kind][pcr] : &none;
}

void assay_replay_pcr(const struct assay_replay *r, uint32_t pcr, enum assay_extend_kind kind,
		      struct assay_pcr_value *ret)
{
	*ret = *assay_replay_value(r, pcr, kind);
}

struct assay_bytes assay_replay_state(const struct assay_replay *r)
{
	return r->state;
}

uint32_t assay_replay_behind(const struct assay_replay *r)
{
	return r->behind;
}

const struct assay_tail_step *assay_replay_tail(struct assay_replay *r, uint32_t pcr, uint32_t back)
{
	return pcr < PCRS && back > 0 ? assay_tail_at(&r->tail, pcr, back) : NULL;
}

bool assay_replay_reaches(const struct assay_replay *r, uint32_t pcrs, uint64_t index,
			  uint64_t more)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (pcrs & 1u << p && index < r->tail.floor[p])
			return false;
	return more <= ASSAY_TAIL_MAX && assay_tail_from(&r->tail, index) + more <= ASSAY_TAIL_MAX;
}

uint64_t assay_replay_floor(const struct assay_replay *r, uint32_t pcr)
{
	return pcr < PCRS ? r->tail.floor[pcr] : NOWHERE;
}

uint64_t assay_replay_kernel_left(const struct assay_replay *r)
{
	return r->kernel_left;
}

uint64_t assay_replay_placed(const struct assay_replay *r)
{
	return r->announced ? r->kernel_at : NOWHERE;
}

uint64_t assay_replay_records(const struct assay_replay *r)
{
	return r->records;
}

uint64_t assay_replay_announced(const struct assay_replay *r)
{
	return r->n_announced;
}

uint64_t assay_replay_steps(const struct assay_replay *r, uint32_t pcr)
{
	return pcr < PCRS ? r->steps[pcr] : 0;
}

uint64_t assay_replay_pending(const struct assay_replay *r)
{
	return r->pending;
}

uint64_t assay_replay_pending_pcr(const struct assay_replay *r, uint32_t pcr, uint64_t *ret_first)
{
	if (pcr >= PCRS)
		return 0;
	if (ret_first)
		*ret_first = r->pcr[pcr].first;
	return r->pcr[pcr].count;
}

uint64_t assay_replay_batches(const struct assay_replay *r)
{
	return r->batches;
}

uint64_t assay_replay_absent(const struct assay_replay *r)
{
	return r->absent;
}

enum assay_list_mode assay_replay_mode(const struct assay_replay *r)
{
	return r->mode;
}

enum assay_record_role assay_replay_role(const struct assay_replay *r)
{
	return r->role;
}
