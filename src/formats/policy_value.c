/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of the conditions: what a rule matches. Options are in policy_option.c. */
#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "base/hex.h"
#include "base/num.h"
#include "formats/policy_parser.h"

#define UUID_TEXT "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

int assay_policy_bad_value(struct assay_policy_parser *p, const struct assay_policy_key *key,
			   const struct assay_policy_token *t, const char *allowed)
{
	return assay_err_at_line(p->err, -EINVAL, p->lex.line, t->value_column,
				 "'%s' is no value of %s; allowed: %s",
				 assay_err_quote(t->value).text, key->word, allowed);
}

/* The kernel's kstrtoul(): one plus sign may stand in front. */
static int parse_number(struct assay_bytes in, unsigned base, uint64_t max, uint64_t *ret)
{
	if (in.len > 1 && in.data[0] == '+')
		in = assay_bytes(in.data + 1, in.len - 1);
	return assay_num_parse(in, base, max, ret);
}

int assay_policy_value_func(struct assay_policy_parser *p, const struct assay_policy_key *key,
			    const struct assay_policy_token *t)
{
	char names[220];
	size_t n = 0;

	if (assay_hook_by_name(t->value, &p->rule->func)) {
		p->rule->conds |= key->conds;
		return 0;
	}
#define X(id, name)                                                                                \
	if ((name) && n < sizeof(names))                                                           \
		n += assay_fmt(names + n, sizeof(names) - n, n ? " %s" : "%s",                     \
			       (const char *)(name));
	ASSAY_HOOK_LIST(X)
#undef X
	return assay_policy_bad_value(p, key, t, names);
}

int assay_policy_value_mask(struct assay_policy_parser *p, const struct assay_policy_key *key,
			    const struct assay_policy_token *t)
{
	struct assay_bytes name = t->value;
	uint32_t conds = ASSAY_COND_MASK;

	if (name.len > 0 && name.data[0] == '^') {
		name = assay_bytes(name.data + 1, name.len - 1);
		conds |= ASSAY_COND_INMASK;
	}
	if (!assay_may_by_name(name, &p->rule->mask))
		return assay_policy_bad_value(p, key, t,
					      "one of MAY_EXEC MAY_WRITE MAY_READ MAY_APPEND, "
					      "after '^' if other bits may be set too");
	p->rule->conds |= conds;
	return 0;
}

int assay_policy_value_fsmagic(struct assay_policy_parser *p, const struct assay_policy_key *key,
			       const struct assay_policy_token *t)
{
	if (parse_number(t->value, 16, UINT64_MAX, &p->rule->fsmagic) != 0)
		return assay_policy_bad_value(p, key, t, "a hexadecimal number of at most 64 bits");
	p->rule->conds |= key->conds;
	return 0;
}

int assay_policy_value_fsname(struct assay_policy_parser *p, const struct assay_policy_key *key,
			      const struct assay_policy_token *t)
{
	p->rule->conds |= key->conds;
	return assay_policy_copy(p, t->value, &p->rule->fsname);
}

int assay_policy_value_fs_subtype(struct assay_policy_parser *p, const struct assay_policy_key *key,
				  const struct assay_policy_token *t)
{
	p->rule->conds |= key->conds;
	return assay_policy_copy(p, t->value, &p->rule->fs_subtype);
}

bool assay_fsuuid_parse(struct assay_bytes in, uint8_t ret[static 16])
{
	uint8_t digits[32];
	size_t n = 0;

	if (in.len != strlen(UUID_TEXT))
		return false;
	for (size_t i = 0; i < in.len; i++) {
		if ((UUID_TEXT[i] == '-') != (in.data[i] == '-'))
			return false;
		if (in.data[i] != '-')
			digits[n++] = in.data[i];
	}
	return assay_hex_decode(assay_bytes(digits, sizeof(digits)), ret, 16) == 16;
}

int assay_policy_value_fsuuid(struct assay_policy_parser *p, const struct assay_policy_key *key,
			      const struct assay_policy_token *t)
{
	if (!assay_fsuuid_parse(t->value, p->rule->fsuuid))
		return assay_policy_bad_value(p, key, t, "hexadecimal " UUID_TEXT);
	p->rule->conds |= key->conds;
	return 0;
}

static struct assay_id_cond *id_slot(struct assay_rule *rule, uint32_t cond)
{
	switch (cond) {
	case ASSAY_COND_UID:
	case ASSAY_COND_EUID:
		return &rule->uid;
	case ASSAY_COND_GID:
	case ASSAY_COND_EGID:
		return &rule->gid;
	case ASSAY_COND_FOWNER:
		return &rule->fowner;
	default:
		return &rule->fgroup;
	}
}

int assay_policy_value_id(struct assay_policy_parser *p, const struct assay_policy_key *key,
			  const struct assay_policy_token *t)
{
	struct assay_id_cond *slot = id_slot(p->rule, key->conds);
	uint64_t id;

	/* The highest number is the kernel's "no id". */
	if (parse_number(t->value, 10, UINT32_MAX - 1, &id) != 0)
		return assay_policy_bad_value(p, key, t,
					      "a decimal number from 0 to 4294967294, after one of "
					      "= < > (there is no >= or <=)");
	*slot = (struct assay_id_cond){
		.id = (uint32_t)id,
		.op = t->op == '>'   ? ASSAY_IDOP_GT
		      : t->op == '<' ? ASSAY_IDOP_LT
				     : ASSAY_IDOP_EQ,
	};
	p->rule->conds |= key->conds;
	return 0;
}

/* Cuts a copy of the value at each '|'; every part ends in NUL. */
static int split_items(struct assay_policy_parser *p, const struct assay_policy_token *t)
{
	struct assay_rule *rule = p->rule;
	struct assay_bytes copy;
	uint8_t *at;
	int r = assay_policy_copy(p, t->value, &copy);

	if (r != 0)
		return r;
	at = (uint8_t *)(uintptr_t)copy.data; /* ours: copied just now */
	for (uint32_t i = 0; i < rule->n_items; i++) {
		size_t len = 0;

		while (at[len] && at[len] != '|')
			len++;
		at[len] = '\0';
		rule->items[i] = assay_bytes(at, len);
		at += len + 1;
	}
	return 0;
}

int assay_policy_value_items(struct assay_policy_parser *p, const struct assay_policy_key *key,
			     const struct assay_policy_token *t)
{
	struct assay_rule *rule = p->rule;
	uint32_t n = 1;

	for (size_t i = 0, start = 0; i <= t->value.len; i++) {
		if (i < t->value.len && t->value.data[i] != '|')
			continue;
		if (i == start)
			return assay_err_at_line(p->err, -EINVAL, p->lex.line,
						 t->value_column + (uint32_t)start,
						 "%s has an empty item; allowed: names separated "
						 "by one '|'",
						 key->word);
		n += i < t->value.len;
		start = i + 1;
	}
	if (n > ASSAY_POLICY_ITEMS_MAX)
		return assay_err_at_line(p->err, -E2BIG, p->lex.line, t->value_column,
					 "%s has %u items; at most %u are allowed", key->word, n,
					 ASSAY_POLICY_ITEMS_MAX);
	rule->items = assay_arena_alloc(p->arena, n, sizeof(*rule->items));
	if (!rule->items)
		return assay_err_set(p->err, -ENOMEM, "the policy does not fit into its memory");
	rule->n_items = n;
	rule->conds |= key->conds;
	return split_items(p, t);
}

int assay_policy_value_lsm(struct assay_policy_parser *p, const struct assay_policy_key *key,
			   const struct assay_policy_token *t)
{
	unsigned slot = assay_policy_key_id(key) - ASSAY_KEY_OBJ_USER;

	p->rule->conds |= key->conds;
	assay_policy_warn(p, ASSAY_POLICY_WARN_LSM, t->column,
			  "labels are not read yet: this rule matches nothing");
	return assay_policy_copy(p, t->value, &p->rule->lsm[slot]);
}
