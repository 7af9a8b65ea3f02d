/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/view/view_files.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "engine/listing.h"
#include "formats/mlist.h"
#include "formats/policy.h"

struct view_text {
	unsigned refs;
	size_t len;
	uint8_t data[];
};

struct opened {
	enum assay_view_what what;
	struct assay_list_reader *list; /* of a list; NULL: there was none */
	struct assay_listing *listing;
	struct view_text *policy;
};

/* ---- policy --------------------------------------------------------------------------------- */

static struct view_text *text_new(struct assay_bytes text)
{
	struct view_text *t = malloc(sizeof(*t) + text.len);

	if (!t)
		return NULL;
	t->refs = 1;
	t->len = text.len;
	if (text.len)
		memcpy(t->data, text.data, text.len);
	return t;
}

static void text_unref(struct view_text *t)
{
	if (t && --t->refs == 0)
		free(t);
}

/* The rules of @text in @arena, whose memory is the caller's to free. */
static int parse_policy(const struct view_files *f, struct assay_bytes text,
			struct assay_arena *arena, struct assay_policy_text *ret)
{
	const struct assay_policy_options options = {
		.size = sizeof(options),
		.template = assay_bytes(f->template, f->template_len),
	};
	size_t size = assay_policy_arena_size(text);
	void *memory = malloc(size);

	*arena = (struct assay_arena){ 0 };
	if (!memory)
		return -ENOMEM;
	assay_arena_init(arena, memory, size);
	return assay_policy_parse(text, &options, arena, ret, NULL);
}

int view_files_check_rule(void *ctx, struct assay_bytes line)
{
	struct assay_policy_text unused;
	struct assay_arena arena;
	int r = parse_policy(ctx, line, &arena, &unused);

	free(arena.base);
	return r < 0 && r != -ENOMEM ? -EINVAL : r;
}

/* With the blank that the kernel puts behind each word. NULL: no memory, or more than the kernel's
 * words for it can need. */
static struct view_text *print_policy(const struct assay_policy_text *policy, size_t len)
{
	size_t size = 4 * len + 4096;
	struct view_text *ret = NULL;
	uint8_t *data = malloc(size);
	struct assay_wr w = assay_wr(data, size);

	if (!data)
		return NULL;
	for (uint32_t i = 0; i < policy->n_rules; i++) {
		assay_rule_print(&policy->rules[i], &w);
		assay_wr_str(&w, " \n");
	}
	if (assay_wr_ok(&w))
		ret = text_new(assay_wr_done(&w));
	free(data);
	return ret;
}

int view_files_set_policy(struct view_files *f, struct assay_bytes text)
{
	struct assay_policy_text policy;
	struct view_text *shown = NULL;
	struct assay_arena arena;

	if (parse_policy(f, text, &arena, &policy) == 0)
		shown = print_policy(&policy, text.len);
	free(arena.base);
	if (!shown)
		shown = text_new(text);
	if (!shown)
		return -ENOMEM;
	text_unref(f->policy);
	f->policy = shown;
	return 0;
}

int view_files_set_template(struct view_files *f, struct assay_bytes name)
{
	if (name.len > sizeof(f->template))
		return -E2BIG;
	if (name.len)
		memcpy(f->template, name.data, name.len);
	f->template_len = name.len;
	return 0;
}

/* ---- list ----------------------------------------------------------------------------------- */

int view_files_set_segment(struct view_files *f, int fd, struct assay_err *err)
{
	struct assay_list_reader *list;
	int r = assay_list_reader_new(fd, 0, &f->crypto, &list, err);

	if (r < 0)
		return r;
	assay_list_reader_unref(f->list);
	f->list = list;
	f->counted = 0;
	f->records = f->violations = 0;
	return 0;
}

void view_files_done(struct view_files *f)
{
	assay_list_reader_unref(f->list);
	text_unref(f->policy);
	*f = (struct view_files){ 0 };
}

void view_files_banks(void *ctx, struct assay_banks *ret)
{
	const struct view_files *f = ctx;

	*ret = f->list ? assay_list_reader_head(f->list)->banks : (struct assay_banks){ .n = 0 };
}

/* Goes on from where it was. */
static int count(struct view_files *f)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_bytes records;
	struct assay_record record;
	struct assay_rd in;
	int r = f->list ? assay_list_reader_records(f->list, &records, NULL) : -ENODATA;

	if (r < 0)
		return f->list ? r : 0;
	in = assay_rd(assay_bytes(records.data + f->counted, records.len - f->counted));
	while (!assay_rd_end(&in)) {
		r = assay_record_parse(&in, &form, &record, NULL);
		if (r < 0)
			return r;
		f->counted += record.size;
		f->records++;
		f->violations += record.violation;
	}
	return 0;
}

static int open_list(struct view_files *f, const struct assay_view_file *file, struct opened *o)
{
	static const struct assay_banks usual = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };
	struct assay_listing_kind kind = { file->anchored, file->ascii, file->column };
	const struct assay_banks *banks;
	struct assay_bytes records;
	int r;

	if (!f->list)
		return 0;
	banks = &assay_list_reader_head(f->list)->banks;
	r = assay_list_reader_records(f->list, &records, NULL);
	if (r == 0)
		r = assay_listing_new(&f->crypto, &kind, banks->n ? banks : &usual, records,
				      &o->listing);
	if (r < 0)
		return r == -ENOMEM ? r : -EIO;
	o->list = assay_list_reader_ref(f->list);
	f->n_lists++;
	return 0;
}

/* ---- the ops -------------------------------------------------------------------------------- */

int view_files_open(void *ctx, const struct assay_view_file *file, void **ret)
{
	struct view_files *f = ctx;
	struct opened *o = calloc(1, sizeof(*o));
	int r = o ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	o->what = file->what;
	if (file->what == ASSAY_VIEW_LIST)
		r = open_list(f, file, o);
	if (file->what == ASSAY_VIEW_POLICY && f->policy) {
		o->policy = f->policy;
		o->policy->refs++;
	}
	if (r < 0)
		free(o);
	else
		*ret = o;
	return r;
}

static void put_rest(struct assay_bytes all, uint64_t offset, struct assay_wr *w)
{
	size_t len = offset < all.len ? all.len - (size_t)offset : 0;

	assay_wr_raw(w, all.data + (len ? offset : 0), len < w->cap ? len : w->cap);
}

static int read_number(struct view_files *f, enum assay_view_what what, uint64_t offset,
		       struct assay_wr *w)
{
	char text[32];
	struct assay_wr number = assay_wr(text, sizeof(text));
	int r = count(f);

	if (r < 0)
		return r;
	assay_wr_fmt(&number, "%llu\n",
		     (unsigned long long)(what == ASSAY_VIEW_COUNT ? f->records : f->violations));
	put_rest(assay_wr_done(&number), offset, w);
	return 0;
}

static int read_list(struct opened *o, uint64_t offset, struct assay_wr *w)
{
	struct assay_bytes records;
	int r;

	if (!o->list)
		return 0;
	r = assay_list_reader_records(o->list, &records, NULL);
	return r < 0 ? r : assay_listing_read(o->listing, records, offset, w, NULL);
}

int view_files_read(void *ctx, void *opened, uint64_t offset, struct assay_wr *w)
{
	struct opened *o = opened;

	switch (o->what) {
	case ASSAY_VIEW_LIST:
		return read_list(o, offset, w);
	case ASSAY_VIEW_COUNT:
	case ASSAY_VIEW_VIOLATIONS:
		return read_number(ctx, o->what, offset, w);
	case ASSAY_VIEW_POLICY:
		if (o->policy)
			put_rest(assay_bytes(o->policy->data, o->policy->len), offset, w);
		return 0;
	}
	return -EINVAL;
}

/* With the last list that is closed the pages of the segment go, too. */
void view_files_close(void *ctx, void *opened)
{
	struct view_files *f = ctx;
	struct opened *o = opened;

	if (o->list && --f->n_lists == 0 && f->list)
		assay_list_reader_relax(f->list);
	assay_listing_free(o->listing);
	assay_list_reader_unref(o->list);
	text_unref(o->policy);
	free(o);
}
