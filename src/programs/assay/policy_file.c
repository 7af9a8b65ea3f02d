/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "programs/common/plane.h"

#define RULE_TEXT_MAX (ASSAY_POLICY_SIZE_MAX + 64u)

void policy_file_done(struct policy_file *p)
{
	free(p->arena.base);
	free(p->warnings);
	*p = (struct policy_file){ 0 };
}

static void keep_warning(void *ctx, enum assay_policy_warning what, uint32_t line, uint32_t column,
			 const char *text)
{
	struct policy_file *p = ctx;
	struct policy_warning *more = reallocarray(p->warnings, p->n_warnings + 1, sizeof(*more));

	(void)what;
	if (!more)
		return; /* the policy itself will not fit either */
	p->warnings = more;
	more[p->n_warnings] = (struct policy_warning){ .line = line, .column = column };
	snprintf(more[p->n_warnings].text, sizeof(more->text), "%s", text);
	p->n_warnings++;
}

static int take_memory(struct policy_file *p, size_t size, struct assay_err *err)
{
	uint8_t *memory = malloc(size);

	if (!memory)
		return assay_err_set(err, -ENOMEM, "out of memory");
	assay_arena_init(&p->arena, memory, size);
	return 0;
}

int policy_file_read(struct policy_file *p, const char *file, const char *template,
		     struct assay_err *err)
{
	struct assay_policy_options options = {
		.size = sizeof(options),
		.warn = keep_warning,
		.warn_ctx = p,
		.template = assay_bytes_str(template ? template : ""),
	};
	AUTO(file) struct assay_file content = { 0 };
	int r;

	p->name = file;
	r = assay_file_read(AT_FDCWD, file, ASSAY_POLICY_SIZE_MAX, &content, err);
	if (r == 0)
		r = take_memory(p, assay_policy_arena_size(content.bytes), err);
	if (r != 0)
		return r;
	return assay_policy_parse(content.bytes, &options, &p->arena, &p->text, err);
}

int policy_file_builtin(struct policy_file *p, const char *names, struct assay_err *err)
{
	int r = take_memory(p, ASSAY_POLICY_BUILTIN_ARENA, err);

	p->name = names;
	if (r != 0)
		return r;
	return assay_policy_builtin_parse(assay_bytes_str(names), &p->arena, &p->text, err);
}

int policy_file_load(struct policy_file *p, const char *name, const char *template,
		     struct assay_err *err)
{
	struct assay_err why;
	int r;

	if (plane_policy_is_file(name))
		return policy_file_read(p, name, template, err);
	r = policy_file_builtin(p, name, &why);
	return r < 0 ? assay_err_set(err, r, "%s; " PLANE_POLICY_HINT, why.text) : 0;
}

void policy_file_print_warnings(const struct policy_file *p)
{
	for (size_t i = 0; i < p->n_warnings; i++)
		fprintf(stderr, "%s:%u:%u: warning: %s\n", p->name, p->warnings[i].line,
			p->warnings[i].column, p->warnings[i].text);
}

char *policy_rule_text(const struct assay_rule *rule, bool json)
{
	char *text = malloc(RULE_TEXT_MAX);
	struct assay_wr w = assay_wr(text, RULE_TEXT_MAX - 1);

	if (!text)
		return NULL;
	assay_rule_print(rule, &w);
	for (size_t i = 0; i < w.len; i++)
		if (w.data[i] < 0x20 || w.data[i] == 0x7f || (json && w.data[i] >= 0x80))
			text[i] = '?';
	text[w.len] = '\0';
	return realloc(text, w.len + 1);
}

static json_t *json_rule(const struct assay_rule *rule)
{
	char *text = policy_rule_text(rule, true);
	json_t *json = text ? json_pack("{s:i, s:s}", "line", (int)rule->line, "text", text) : NULL;

	free(text);
	return json;
}

json_t *policy_file_json_rules(const struct policy_file *p)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < p->text.n_rules; i++)
		json_array_append_new(array, json_rule(&p->text.rules[i]));
	return array;
}

json_t *policy_file_json_warnings(const struct policy_file *p)
{
	json_t *array = json_array();

	for (size_t i = 0; i < p->n_warnings; i++)
		json_array_append_new(array,
				      json_pack("{s:i, s:i, s:s}", "line", (int)p->warnings[i].line,
						"column", (int)p->warnings[i].column, "text",
						p->warnings[i].text));
	return array;
}
