/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/listing.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/steps.h"
#include "formats/mlist_ascii.h"

#define MARKS_MAX    256u
#define STRIDE_FIRST (UINT64_C(64) << 10) /* bytes of output between two marks, at first */
#define TEXT_KEPT    (64u << 10)	  /* a buffer that had to be larger is not kept */

/* A place to begin from, for who goes back in the flat form. */
struct mark {
	uint64_t out;
	size_t in;
};

struct assay_listing {
	struct assay_crypto crypto;
	struct assay_listing_kind kind;
	struct assay_banks banks;
	struct assay_checker checker;
	struct assay_steps *steps; /* NULL: flat */
	size_t upto;		   /* anchored: bytes of records that count */
	bool ended;		   /* anchored: the steps were told that nothing follows */
	int failed;		   /* a replay cannot go on behind an error */
	size_t in;		   /* where the next record stands */
	/* The record that was made last, and where it stands in the output. */
	struct assay_wr text;
	uint64_t out;
	/* One each @stride of output; when they are full, every other one goes. */
	struct mark mark[MARKS_MAX];
	size_t n_marks;
	uint64_t stride;
};

static const struct assay_list_form stored = { .column = ASSAY_HASH_SHA1 };

static int begin_steps(struct assay_listing *l)
{
	assay_steps_free(TAKE(l->steps));
	l->ended = false;
	l->failed = 0;
	if (!l->kind.anchored)
		return 0;
	return assay_steps_new(&l->crypto, &l->banks, &stored, true, &l->steps);
}

int assay_listing_new(const struct assay_crypto *crypto, const struct assay_listing_kind *kind,
		      const struct assay_banks *banks, struct assay_bytes records,
		      struct assay_listing **ret)
{
	AUTO(listing) struct assay_listing *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->crypto = *crypto;
	l->kind = *kind;
	l->banks = *banks;
	l->upto = records.len;
	l->stride = STRIDE_FIRST;
	r = crypto->ops->has_hash(crypto->ctx, kind->column) ? 0 : -EOPNOTSUPP;
	if (r == 0)
		r = assay_checker_init(&l->checker, crypto, banks, &stored, false);
	if (r == 0)
		r = begin_steps(l);
	if (r < 0)
		return r;
	*ret = TAKE(l);
	return 0;
}

void assay_listing_free(struct assay_listing *l)
{
	if (!l)
		return;
	assay_steps_free(l->steps);
	free(l->text.data);
	free(l);
}

/* ---- one record ----------------------------------------------------------------------------- */

static int reserve(struct assay_wr *w, size_t size)
{
	uint8_t *data;

	w->len = 0;
	if (w->cap >= size && w->cap <= size + TEXT_KEPT)
		return 0;
	data = realloc(w->data, size);
	if (!data)
		return -ENOMEM;
	*w = assay_wr(data, size);
	return 0;
}

/* The digest of a violation is zeros, in every bank. */
static int digest_of(const struct assay_listing *l, const struct assay_record *record,
		     uint8_t digest[static ASSAY_HASH_SIZE_MAX])
{
	memset(digest, 0, ASSAY_HASH_SIZE_MAX);
	if (record->violation)
		return 0;
	return assay_template_digest(&l->crypto, l->kind.column, record, digest);
}

static int print(struct assay_listing *l, const struct assay_record *record, struct assay_err *err)
{
	struct assay_template_data cut;
	int r = assay_checker_cut(&l->checker, record, &cut, err);

	if (r < 0)
		return r;
	assay_ascii_print(record, &cut, stored.big, ASSAY_ASCII_RAW, &l->text);
	assay_wr_u8(&l->text, '\n');
	return 0;
}

/* The record takes the place of the one before in the text. */
static int make(struct assay_listing *l, const struct assay_record *record, struct assay_err *err)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];
	struct assay_record shown = *record;
	int r = 0;

	l->out += l->text.len;
	l->text.len = 0;
	if (l->kind.column != stored.column) {
		r = digest_of(l, record, digest);
		shown.template_digest = assay_bytes(digest, assay_hash_size(l->kind.column));
	}
	if (r == 0)
		r = reserve(&l->text, 4 * record->data.len + 1024);
	if (r < 0)
		return assay_err_set(err, r, "cannot show a record");
	if (l->kind.ascii)
		return print(l, &shown, err);
	assay_record_encode(&shown, &l->text);
	return 0;
}

/* ---- the next one --------------------------------------------------------------------------- */

static int parse(struct assay_listing *l, struct assay_bytes records, struct assay_record *ret,
		 struct assay_err *err)
{
	struct assay_rd in = assay_rd(assay_bytes(records.data + l->in, records.len - l->in));

	return assay_record_parse(&in, &stored, ret, err);
}

static void set_mark(struct assay_listing *l)
{
	uint64_t next = l->out + l->text.len;
	uint64_t last = l->n_marks ? l->mark[l->n_marks - 1].out : 0;

	if (next < last + l->stride)
		return;
	if (l->n_marks == MARKS_MAX) {
		for (size_t i = 0; i < MARKS_MAX / 2; i++)
			l->mark[i] = l->mark[2 * i + 1];
		l->n_marks = MARKS_MAX / 2;
		l->stride *= 2;
	}
	l->mark[l->n_marks++] = (struct mark){ next, l->in };
}

static int next_flat(struct assay_listing *l, struct assay_bytes records, bool *ret_end,
		     struct assay_err *err)
{
	struct assay_record record;
	int r;

	*ret_end = l->in >= records.len;
	if (*ret_end)
		return 0;
	r = parse(l, records, &record, err);
	if (r < 0)
		return r;
	set_mark(l);
	r = make(l, &record, err);
	if (r == 0)
		l->in += record.size;
	return r;
}

static int next_anchored(struct assay_listing *l, struct assay_bytes records, bool *ret_end,
			 struct assay_err *err)
{
	const struct assay_record *step;
	const struct assay_step *unused;
	struct assay_record record;
	int r = 0;

	*ret_end = false;
	while (!assay_steps_next(l->steps, &step, &unused)) {
		*ret_end = l->ended;
		if (l->ended)
			return 0;
		if (l->in >= l->upto) {
			assay_steps_end(l->steps);
			l->ended = true;
			continue;
		}
		r = parse(l, assay_bytes(records.data, l->upto), &record, err);
		if (r == 0)
			r = assay_steps_add(l->steps, &record, l->in, err);
		if (r < 0)
			return r;
		l->in += record.size;
	}
	return make(l, step, err);
}

/* ---- places --------------------------------------------------------------------------------- */

/* To where @offset is still to come, by the nearest mark if that is nearer than what comes next. */
static int go_to(struct assay_listing *l, uint64_t offset)
{
	size_t i = l->n_marks;

	while (i > 0 && l->mark[i - 1].out > offset)
		i--;
	if ((l->steps || !l->kind.anchored) && offset >= l->out &&
	    (i == 0 || l->mark[i - 1].out <= l->out + l->text.len))
		return 0;
	l->text.len = 0;
	l->out = i ? l->mark[i - 1].out : 0;
	l->in = i ? l->mark[i - 1].in : 0;
	return begin_steps(l);
}

static int next(struct assay_listing *l, struct assay_bytes records, bool *ret_end,
		struct assay_err *err)
{
	if (!l->kind.anchored)
		return next_flat(l, records, ret_end, err);
	if (l->failed)
		return assay_err_set(err, l->failed, "the list cannot be replayed");
	l->failed = next_anchored(l, records, ret_end, err);
	return l->failed;
}

static void read_stored(struct assay_bytes records, uint64_t offset, struct assay_wr *w)
{
	size_t room = w->cap - w->len;

	if (offset >= records.len)
		return;
	if (room > records.len - (size_t)offset)
		room = records.len - (size_t)offset;
	assay_wr_raw(w, records.data + offset, room);
}

int assay_listing_read(struct assay_listing *l, struct assay_bytes records, uint64_t offset,
		       struct assay_wr *w, struct assay_err *err)
{
	size_t before = w->len;
	bool end = false;
	int r;

	if (!l->kind.anchored && !l->kind.ascii && l->kind.column == stored.column) {
		read_stored(records, offset, w);
		return 0;
	}
	r = go_to(l, offset);
	if (r < 0)
		return assay_err_set(err, r, "out of memory");
	while (r == 0 && w->len < w->cap && !end) {
		uint64_t skip = offset + (w->len - before) - l->out;
		size_t room = w->cap - w->len;

		if (skip >= l->text.len) {
			r = next(l, records, &end, err);
			continue;
		}
		if (room > l->text.len - (size_t)skip)
			room = l->text.len - (size_t)skip;
		assay_wr_raw(w, l->text.data + skip, room);
	}
	return w->len > before ? 0 : r;
}
