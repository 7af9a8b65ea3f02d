/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy text to rules. Values are read by policy_value.c and policy_option.c, what goes together
 * is known to policy_check.c; here is the loop over lines and tokens.
 */
#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "formats/policy_parser.h"
#include "formats/template.h"

void assay_policy_warn(struct assay_policy_parser *p, enum assay_policy_warning what,
		       uint32_t column, const char *text)
{
	if (p->options.warn)
		p->options.warn(p->options.warn_ctx, what, p->lex.line, column, text);
}

static int no_memory(struct assay_policy_parser *p)
{
	return assay_err_set(p->err, -ENOMEM, "the policy does not fit into its memory");
}

int assay_policy_copy(struct assay_policy_parser *p, struct assay_bytes from,
		      struct assay_bytes *ret)
{
	uint8_t *to = assay_arena_alloc(p->arena, from.len + 1, 1);

	if (!to)
		return no_memory(p);
	memcpy(to, from.data, from.len);
	*ret = assay_bytes(to, from.len);
	return 0;
}

static int parse_action(struct assay_policy_parser *p, const struct assay_policy_token *t,
			uint32_t action)
{
	if (p->rule->action)
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, t->column,
					 "a second action '%s'; a rule has one, and this one has "
					 "'%s'",
					 assay_err_quote(t->whole).text,
					 assay_action_name(p->rule->action));
	p->rule->action = action;
	p->action_column = t->column;
	return 0;
}

static int refuse_unknown(struct assay_policy_parser *p, const struct assay_policy_token *t)
{
	char allowed[200];

	assay_policy_allowed(p, allowed, sizeof(allowed));
	return assay_err_at_line(p->err, -EINVAL, p->lex.line, t->column,
				 "unknown token '%s'; allowed: %s", assay_err_quote(t->whole).text,
				 allowed);
}

/* "func" alone, "fsmagic>5", "permit_directio=1", "fsname=". */
static int check_shape(struct assay_policy_parser *p, const struct assay_policy_key *key,
		       const struct assay_policy_token *t)
{
	if (!*key->ops && t->op)
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, t->value_column - 1,
					 "%s takes no value", key->word);
	if (*key->ops && (!t->op || !strchr(key->ops, t->op)))
		return assay_err_at_line(p->err, -EINVAL, p->lex.line,
					 t->column + (uint32_t)t->word.len,
					 "'%s': after %s comes %s", assay_err_quote(t->whole).text,
					 key->word, key->ops[1] ? "one of = > <" : "=");
	if (*key->ops && t->value.len == 0)
		return assay_err_at_line(
			p->err, -EINVAL, p->lex.line, t->value_column,
			"%s has no value; see assay-policy(5) for those that it takes", key->word);
	return 0;
}

static bool first_was_zero(const struct assay_rule *rule, const struct assay_policy_key *key)
{
	if (key->conds & ASSAY_COND_FSMAGIC)
		return rule->fsmagic == 0;
	return assay_bytes_all(assay_bytes(rule->fsuuid, sizeof(rule->fsuuid)), 0);
}

/* @id if it was given before, or the key that shares its place if that was. */
static enum assay_policy_key_id given_before(const struct assay_policy_parser *p,
					     enum assay_policy_key_id id)
{
	static const uint8_t twin[ASSAY_KEY_COUNT] = {
		[ASSAY_KEY_UID] = ASSAY_KEY_EUID,
		[ASSAY_KEY_EUID] = ASSAY_KEY_UID,
		[ASSAY_KEY_GID] = ASSAY_KEY_EGID,
		[ASSAY_KEY_EGID] = ASSAY_KEY_GID,
	};

	return !p->column[id] && twin[id] ? (enum assay_policy_key_id)twin[id] : id;
}

static int check_again(struct assay_policy_parser *p, const struct assay_policy_key *key,
		       const struct assay_policy_token *t)
{
	enum assay_policy_key_id by = given_before(p, assay_policy_key_id(key));
	uint32_t before = p->column[by];
	char text[80];

	if (!before || key->again == ASSAY_AGAIN_SAME)
		return 0;
	if (key->again == ASSAY_AGAIN_REFUSED ||
	    (key->again == ASSAY_AGAIN_IF_ZERO && !first_was_zero(p->rule, key)))
		return assay_err_at_line(
			p->err, -EINVAL, p->lex.line, t->column,
			"'%s' is given twice: the place of %s was taken in column %u, by %s",
			assay_err_quote(t->whole).text, key->word, before,
			assay_policy_key(by)->word);
	assay_fmt(text, sizeof(text), "%s is given twice, the last one counts", key->word);
	assay_policy_warn(p, ASSAY_POLICY_WARN_TWICE, t->column, text);
	return 0;
}

static int parse_token(struct assay_policy_parser *p, const struct assay_policy_token *t)
{
	const struct assay_policy_key *key;
	uint32_t action;
	int r;

	if (!p->first_column)
		p->first_column = t->column;
	if (assay_action_by_name(t->whole, &action))
		return parse_action(p, t, action);
	key = assay_policy_key_find(t->word);
	if (!key)
		return refuse_unknown(p, t);
	r = check_shape(p, key, t);
	if (r == 0)
		r = check_again(p, key, t);
	if (r == 0)
		r = key->parse(p, key, t);
	if (r == 0)
		p->column[assay_policy_key_id(key)] = t->column;
	return r;
}

static bool template_has(struct assay_bytes name, enum assay_field field)
{
	struct assay_template t;

	if (name.len == 0 || assay_template_parse(name, &t, NULL) != 0)
		return false;
	for (uint32_t i = 0; i < t.n_fields; i++)
		if (t.fields[i] == field)
			return true;
	return false;
}

/* Worth saying, though the kernel takes it. */
static void warn_about_rule(struct assay_policy_parser *p)
{
	const struct assay_rule *rule = p->rule;

	if (rule->action != ASSAY_ACTION_MEASURE || !(rule->opts & ASSAY_OPT_VERITY_REQUIRED) ||
	    template_has(rule->template.len ? rule->template : p->options.template,
			 ASSAY_FIELD_D_NGV2))
		return;
	assay_policy_warn(p, ASSAY_POLICY_WARN_VERITY_TEMPLATE, p->column[ASSAY_KEY_DIGEST_TYPE],
			  "fs-verity digests should be measured with a template that has d-ngv2, "
			  "such as ima-ngv2");
}

/* A token that cannot be right because the file came from where lines end in CR and LF. */
static int refuse_cr(struct assay_policy_parser *p, const struct assay_policy_token *t)
{
	return assay_err_at_line(p->err, -EINVAL, p->lex.line,
				 t->column + (uint32_t)t->whole.len - 1,
				 "the line ends in CR; lines end in LF alone");
}

static int parse_rule(struct assay_policy_parser *p, struct assay_rule *rule)
{
	struct assay_policy_token t;
	int r;

	memset(p->column, 0, sizeof(p->column));
	p->first_column = p->action_column = 0;
	p->rule = rule;
	rule->line = p->lex.line;
	while (assay_policy_lex_token(&p->lex, &t)) {
		r = parse_token(p, &t);
		if (r == -EINVAL && t.whole.data[t.whole.len - 1] == '\r')
			return refuse_cr(p, &t);
		if (r != 0)
			return r;
	}
	r = assay_policy_check_rule(p);
	if (r == 0)
		warn_about_rule(p);
	return r;
}

/* Nothing else could be done with a NUL than what a C string does: hide what is behind it. */
static int check_bytes(struct assay_policy_parser *p, struct assay_bytes text)
{
	const uint8_t *nul = text.len ? memchr(text.data, '\0', text.len) : NULL;
	uint32_t line = 1, column = 1;

	if (text.len > ASSAY_POLICY_SIZE_MAX)
		return assay_err_set(p->err, -E2BIG,
				     "the policy has %zu bytes; at most %u are allowed", text.len,
				     ASSAY_POLICY_SIZE_MAX);
	if (!nul)
		return 0;
	for (const uint8_t *at = text.data; at < nul; at++) {
		line += *at == '\n';
		column = *at == '\n' ? 1 : column + 1;
	}
	return assay_err_at_line(p->err, -EINVAL, line, column,
				 "a NUL byte; a policy is text, a rule a line");
}

static int count_rules(struct assay_policy_parser *p, struct assay_bytes text, uint32_t *ret)
{
	struct assay_policy_lex lex;
	uint32_t n = 0;

	assay_policy_lex_init(&lex, text);
	for (; assay_policy_lex_line(&lex); n++)
		if (n == ASSAY_POLICY_RULES_MAX)
			return assay_err_at_line(p->err, -E2BIG, lex.line, 1, "more than %u rules",
						 ASSAY_POLICY_RULES_MAX);
	if (n == 0)
		return assay_err_at_line(p->err, -EINVAL, lex.line ? lex.line : 1, 1,
					 "there is no rule; an empty policy is refused");
	*ret = n;
	return 0;
}

static int parse_text(struct assay_policy_parser *p, struct assay_bytes text,
		      struct assay_policy_text *ret)
{
	struct assay_policy_text policy = { 0 };
	uint32_t n = 0;
	int r = check_bytes(p, text);

	if (r == 0)
		r = count_rules(p, text, &n);
	if (r != 0)
		return r;
	policy.rules = assay_arena_alloc(p->arena, n, sizeof(*policy.rules));
	if (!policy.rules)
		return no_memory(p);
	assay_policy_lex_init(&p->lex, text);
	while (policy.n_rules < n && assay_policy_lex_line(&p->lex)) {
		r = parse_rule(p, &policy.rules[policy.n_rules++]);
		if (r != 0)
			return r;
	}
	*ret = policy;
	return 0;
}

int assay_policy_parse(struct assay_bytes text, const struct assay_policy_options *options,
		       struct assay_arena *arena, struct assay_policy_text *ret,
		       struct assay_err *err)
{
	struct assay_policy_parser p = { .arena = arena, .err = err };

	if (options && options->size != sizeof(*options))
		return assay_err_set(err, -EINVAL, "options of another version");
	if (options)
		p.options = *options;
	return parse_text(&p, text, ret);
}

size_t assay_policy_arena_size(struct assay_bytes text)
{
	/* What a compiled policy takes a rule, see engine/core/policy.c. */
	const size_t index = 512, fixed = 32768;
	size_t lines = 1;

	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	if (lines > ASSAY_POLICY_RULES_MAX)
		lines = ASSAY_POLICY_RULES_MAX;
	/* A list item is at least two bytes of text and takes a struct assay_bytes; a value is
	 * copied with its NUL to a multiple of 16. */
	return fixed + lines * (sizeof(struct assay_rule) + index) + text.len * 16;
}
