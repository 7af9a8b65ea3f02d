/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values of the options: what is done if a rule matches. The order in which appraise_type=,
 * digest_type= and template= may come is that of Linux 7.1.
 */
#include <errno.h>
#include <string.h>

#include "base/fmt.h"
#include "base/num.h"
#include "formats/policy_parser.h"
#include "formats/template.h"

/* measured_pcrs is an unsigned long in the kernel: a bit per PCR. */
#define PCR_LAST 63

int assay_policy_value_pcr(struct assay_policy_parser *p, const struct assay_policy_key *key,
			   const struct assay_policy_token *t)
{
	struct assay_bytes in = t->value;
	uint64_t pcr;

	if (in.len > 1 && in.data[0] == '+')
		in = assay_bytes(in.data + 1, in.len - 1);
	if (assay_num_parse(in, 10, PCR_LAST, &pcr) != 0)
		return assay_policy_bad_value(p, key, t, "a decimal number from 0 to 63");
	p->rule->pcr = (uint32_t)pcr;
	p->rule->opts |= key->opts;
	return 0;
}

static bool same_fields(struct assay_bytes a, const char *b)
{
	struct assay_template ta, tb;

	return assay_template_parse(a, &ta, NULL) == 0 &&
	       assay_template_parse(assay_bytes_str(b), &tb, NULL) == 0 &&
	       ta.n_fields == tb.n_fields &&
	       memcmp(ta.fields, tb.fields, ta.n_fields * sizeof(ta.fields[0])) == 0;
}

/* lookup_template_desc(): a name or a format that is known already; the name is kept. */
static struct assay_bytes find_template(const struct assay_policy_parser *p,
					struct assay_bytes value)
{
	const char *name;

	for (unsigned i = 0; (name = assay_template_builtin_name(i)); i++)
		if (assay_bytes_is(value, name) || same_fields(value, name))
			return assay_bytes_str(name);
	return assay_bytes_equal(value, p->options.template) ? value : assay_bytes(NULL, 0);
}

int assay_policy_value_template(struct assay_policy_parser *p, const struct assay_policy_key *key,
				const struct assay_policy_token *t)
{
	struct assay_bytes known;

	if (p->rule->action != ASSAY_ACTION_MEASURE)
		return assay_err_at_line(p->err, -EINVAL, p->lex.line, t->column, "'%s': %s",
					 assay_err_quote(t->whole).text,
					 p->rule->action
						 ? "template= is only allowed with measure"
						 : "template= must come after the action measure");
	known = find_template(p, t->value);
	if (!known.data)
		return assay_policy_bad_value(
			p, key, t,
			"ima ima-ng ima-sig ima-ngv2 ima-sigv2 ima-buf "
			"ima-modsig evm-sig, or the format of one of these or "
			"of the default template");
	p->rule->opts |= key->opts;
	return assay_policy_copy(p, known, &p->rule->template);
}

struct appraise_type {
	const char *word;
	uint32_t opts, unless; /* refused after these */
};

static const struct appraise_type appraise_types[] = {
	{ "imasig", ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST,
	  ASSAY_OPT_VERITY_REQUIRED },
	{ "sigv3", ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_SIGV3_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST,
	  0 },
	{ "imasig|modsig",
	  ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_MODSIG_ALLOWED | ASSAY_OPT_CHECK_BLACKLIST,
	  ASSAY_OPT_VERITY_REQUIRED | ASSAY_OPT_SIGV3_REQUIRED },
};

int assay_policy_value_appraise_type(struct assay_policy_parser *p,
				     const struct assay_policy_key *key,
				     const struct assay_policy_token *t)
{
	struct assay_rule *rule = p->rule;

	for (size_t i = 0; i < ARRAY_LEN(appraise_types); i++) {
		const struct appraise_type *type = &appraise_types[i];

		if (!assay_bytes_is(t->value, type->word))
			continue;
		if (rule->opts & type->unless)
			return assay_err_at_line(
				p->err, -EINVAL, p->lex.line, t->value_column,
				"appraise_type=%s is not allowed after %s; allowed: sigv3",
				type->word,
				rule->opts & type->unless & ASSAY_OPT_VERITY_REQUIRED
					? "digest_type=verity"
					: "appraise_type=sigv3");
		rule->opts |= type->opts;
		return 0;
	}
	return assay_policy_bad_value(p, key, t, "imasig sigv3 imasig|modsig");
}

int assay_policy_value_algos(struct assay_policy_parser *p, const struct assay_policy_key *key,
			     const struct assay_policy_token *t)
{
	uint32_t algos = 0;
	size_t start = 0;

	for (size_t i = 0; i <= t->value.len; i++) {
		struct assay_bytes name = assay_bytes(t->value.data + start, i - start);
		enum assay_hash alg;

		if (i < t->value.len && t->value.data[i] != ',')
			continue;
		if (!assay_hash_by_name(name, &alg))
			return assay_err_at_line(
				p->err, -EINVAL, p->lex.line, t->value_column + (uint32_t)start,
				"'%s' is no hash algorithm; allowed, separated by commas: "
				"md4 md5 sha1 sha224 sha256 sha384 sha512 sha3-256 sha3-384 "
				"sha3-512 sm3 streebog256 streebog512 and other names of the "
				"kernel",
				assay_err_quote(name).text);
		algos |= 1u << alg;
		start = i + 1;
	}
	p->rule->algos = algos;
	p->rule->opts |= key->opts;
	return 0;
}

int assay_policy_value_appraise_flag(struct assay_policy_parser *p,
				     const struct assay_policy_key *key,
				     const struct assay_policy_token *t)
{
	p->rule->opts |= key->opts;
	assay_policy_warn(p, ASSAY_POLICY_WARN_APPRAISE_FLAG, t->column,
			  "appraise_flag= is deprecated and has no effect: every appraise_type= "
			  "checks the blacklist");
	return 0;
}

int assay_policy_value_digest_type(struct assay_policy_parser *p,
				   const struct assay_policy_key *key,
				   const struct assay_policy_token *t)
{
	if (!assay_bytes_is(t->value, "verity"))
		return assay_policy_bad_value(p, key, t, "verity");
	p->rule->opts |= key->opts;
	return 0;
}

int assay_policy_value_permit_directio(struct assay_policy_parser *p,
				       const struct assay_policy_key *key,
				       const struct assay_policy_token *t)
{
	(void)t;
	p->rule->opts |= key->opts;
	return 0;
}
