/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy from a file or by its built-in name, with its warnings and its memory. */
#pragma once

#include <jansson.h>

#include "engine/core/policy.h"

struct policy_warning {
	uint32_t line, column;
	char text[160];
};

struct policy_file {
	const char *name; /* borrowed: the file, or the names of built-in policies */
	struct assay_arena arena;
	struct assay_policy_text text;
	struct policy_warning *warnings;
	size_t n_warnings;
};

void policy_file_done(struct policy_file *p);

static inline void assay_auto_policy_file(struct policy_file *p)
{
	policy_file_done(p);
}

/* Used as AUTO(policy_file) struct policy_file p = { 0 }; warnings are there even if it fails. */
int policy_file_read(struct policy_file *p, const char *file, const char *template,
		     struct assay_err *err);
int policy_file_builtin(struct policy_file *p, const char *names, struct assay_err *err);
/* A POLICY as assayd takes it: the one or the other. */
int policy_file_load(struct policy_file *p, const char *name, const char *template,
		     struct assay_err *err);

/* "FILE:LINE:COLUMN: warning: TEXT", a line each, on stderr. */
void policy_file_print_warnings(const struct policy_file *p);

/* A rule as text for people and for JSON: no control characters; @json: valid UTF-8. Free it. */
char *policy_rule_text(const struct assay_rule *rule, bool json);

/* [{"line": 1, "text": "measure"}...] */
json_t *policy_file_json_rules(const struct policy_file *p);
json_t *policy_file_json_warnings(const struct policy_file *p);
