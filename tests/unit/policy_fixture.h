/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the policy tests share: parse, print, compile, in memory that is gone with the test. */
#pragma once

#include "unit/test.h"

#include "engine/core/policy.h"

struct fixture {
	struct assay_arena arena;
	struct assay_policy_text text;
	const struct assay_policy *policy;
	struct assay_err err;
	unsigned warnings;
	struct {
		enum assay_policy_warning what;
		uint32_t line, column;
	} warning[8];
};

static inline void note_warning(void *ctx, enum assay_policy_warning what, uint32_t line,
				uint32_t column, const char *text)
{
	struct fixture *f = ctx;

	assert_non_null(text);
	if (f->warnings < 8) {
		f->warning[f->warnings].what = what;
		f->warning[f->warnings].line = line;
		f->warning[f->warnings].column = column;
	}
	f->warnings++;
}

/* The bytes are copied into memory of their own size, so that reading past them is seen. */
static inline int fixture_parse(struct fixture *f, struct assay_bytes text)
{
	struct assay_policy_options options = { .size = sizeof(options),
						.warn = note_warning,
						.warn_ctx = f };
	size_t size = assay_policy_arena_size(text);
	uint8_t *exact = malloc(text.len ? text.len : 1);
	int r;

	*f = (struct fixture){ 0 };
	assert_non_null(exact);
	memcpy(exact, text.data, text.len);
	assay_arena_init(&f->arena, malloc(size), size);
	assert_non_null(f->arena.base);
	r = assay_policy_parse(assay_bytes(exact, text.len), &options, &f->arena, &f->text,
			       &f->err);
	if (r == 0)
		assert_int_equal(assay_policy_compile(&f->text, &f->arena, &f->policy), 0);
	free(exact);
	return r;
}

static inline void fixture_done(struct fixture *f)
{
	free(f->arena.base);
	f->arena.base = NULL;
}

/* The canonical text; caller frees. */
static inline char *fixture_print(const struct assay_policy_text *text)
{
	size_t size = 1u << 21;
	char *buf = malloc(size);
	struct assay_wr w = assay_wr(buf, size - 1);

	assert_non_null(buf);
	assay_policy_print(text, &w);
	assert_true(assay_wr_ok(&w));
	buf[w.len] = '\0';
	return buf;
}

static inline bool same_match(const struct assay_match *a, const struct assay_match *b)
{
	return a->actions == b->actions && a->opts == b->opts && a->pcr == b->pcr &&
	       assay_bytes_equal(a->template, b->template) && a->algos == b->algos &&
	       a->rule_measure == b->rule_measure && a->rule_appraise == b->rule_appraise &&
	       a->rule_audit == b->rule_audit && a->rule_hash == b->rule_hash &&
	       a->by_subject == b->by_subject && a->by_mask == b->by_mask &&
	       a->pairs_by_mask == b->pairs_by_mask && a->by_mask == (a->pairs_by_mask != 0);
}
