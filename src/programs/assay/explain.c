/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "programs/assay/answer.h"
#include "programs/assay/cmd.h"

#define CONDS_SUBJECT (ASSAY_COND_UID | ASSAY_COND_EUID | ASSAY_COND_GID | ASSAY_COND_EGID)

/* The four pairs. */
static const struct pair {
	const char *name;
	uint32_t action;
	size_t rule; /* offset in struct assay_match */
} pairs[] = {
	{ "measure", ASSAY_ACTION_MEASURE, offsetof(struct assay_match, rule_measure) },
	{ "appraise", ASSAY_ACTION_APPRAISE, offsetof(struct assay_match, rule_appraise) },
	{ "audit", ASSAY_ACTION_AUDIT, offsetof(struct assay_match, rule_audit) },
	{ "hash", ASSAY_ACTION_HASH, offsetof(struct assay_match, rule_hash) },
};

static const struct {
	uint32_t cond;
	const char *name;
} cond_names[] = {
	{ ASSAY_COND_FUNC, "func" },
	{ ASSAY_COND_MASK, "mask" },
	{ ASSAY_COND_FSMAGIC, "fsmagic" },
	{ ASSAY_COND_FSNAME, "fsname" },
	{ ASSAY_COND_FS_SUBTYPE, "fs_subtype" },
	{ ASSAY_COND_FSUUID, "fsuuid" },
	{ ASSAY_COND_UID, "uid" },
	{ ASSAY_COND_EUID, "euid" },
	{ ASSAY_COND_GID, "gid" },
	{ ASSAY_COND_EGID, "egid" },
	{ ASSAY_COND_FOWNER, "fowner" },
	{ ASSAY_COND_FGROUP, "fgroup" },
	{ ASSAY_COND_KEYRINGS, "keyrings" },
	{ ASSAY_COND_LABEL, "label" },
	{ ASSAY_COND_LSM, "label of the LSM" },
};

static const struct {
	uint32_t opt;
	const char *text;
} opt_texts[] = {
	{ ASSAY_OPT_PERMIT_DIRECTIO, "permit_directio" },
	{ ASSAY_OPT_DIGSIG_REQUIRED, "signature required" },
	{ ASSAY_OPT_SIGV3_REQUIRED, "signature version 3 required" },
	{ ASSAY_OPT_MODSIG_ALLOWED, "appended signature allowed" },
	{ ASSAY_OPT_VERITY_REQUIRED, "fs-verity digest" },
	{ ASSAY_OPT_CHECK_BLACKLIST, "blacklist checked" },
};

static const char *cond_name(uint32_t cond)
{
	for (size_t i = 0; i < ARRAY_LEN(cond_names); i++)
		if (cond_names[i].cond == cond)
			return cond_names[i].name;
	return "?";
}

static uint32_t pair_rule(const struct explain *e, const struct pair *pair)
{
	uint32_t rule;

	memcpy(&rule, (const char *)&e->match + pair->rule, sizeof(rule));
	return rule;
}

static void format_mask(uint32_t mask, char *buf, size_t size)
{
	size_t n = 0;

	snprintf(buf, size, "none");
	for (uint32_t bit = 1; bit <= ASSAY_MAY_APPEND; bit <<= 1)
		if ((mask & bit) && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "|" : "",
					      assay_may_name(bit));
}

static void format_uuid(const uint8_t u[static 16], char *buf, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < 16 && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%02x",
				      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

/* What the event has where @cond looks. */
static void format_fact(const struct explain *e, uint32_t cond, char *buf, size_t size)
{
	const struct assay_match_facts *f = &e->facts;
	const struct assay_subject *s = &f->subject;

	if (cond == ASSAY_COND_FUNC)
		snprintf(buf, size, "%s", assay_hook_name(f->hook));
	else if (cond == ASSAY_COND_MASK)
		format_mask(f->mask, buf, size);
	else if (cond == ASSAY_COND_UID)
		snprintf(buf, size, "%u", s->uid);
	else if (cond == ASSAY_COND_EUID)
		snprintf(buf, size, s->cap_setuid ? "%u (suid %u, uid %u)" : "%u", s->euid, s->suid,
			 s->uid);
	else if (cond == ASSAY_COND_GID)
		snprintf(buf, size, "%u", s->gid);
	else if (cond == ASSAY_COND_EGID)
		snprintf(buf, size, s->cap_setgid ? "%u (sgid %u, gid %u)" : "%u", s->egid, s->sgid,
			 s->gid);
	else if (cond == ASSAY_COND_LSM)
		snprintf(buf, size, "not read");
	else if (!(e->known & cond))
		snprintf(buf, size, "not known");
	else if (cond == ASSAY_COND_FSMAGIC)
		snprintf(buf, size, "0x%" PRIx64, f->fs.magic);
	else if (cond == ASSAY_COND_FSNAME)
		snprintf(buf, size, "%.*s", (int)f->fs.name.len, (const char *)f->fs.name.data);
	else if (cond == ASSAY_COND_FS_SUBTYPE)
		snprintf(buf, size, "%.*s", f->fs.subtype.len ? (int)f->fs.subtype.len : 4,
			 f->fs.subtype.len ? (const char *)f->fs.subtype.data : "none");
	else if (cond == ASSAY_COND_FSUUID)
		format_uuid(f->fs.uuid, buf, size);
	else if (cond == ASSAY_COND_FOWNER)
		snprintf(buf, size, "%u", f->fowner);
	else if (cond == ASSAY_COND_FGROUP)
		snprintf(buf, size, "%u", f->fgroup);
	else
		snprintf(buf, size, "%.*s", (int)f->label.len, (const char *)f->label.data);
}

/* The first condition of rule @i that does not hold; 0: it would match, but for any_subject. */
static uint32_t why_not(const struct explain *e, uint32_t i)
{
	const struct assay_rule *rule = &e->file.text.rules[i];
	uint32_t failed = assay_rule_first_mismatch(rule, &e->facts);
	uint32_t unknown = rule->conds & EXPLAIN_CONDS_OBJECT & ~e->known;

	/* The lowest bit: the bits are in the order of the conditions. */
	return failed == ASSAY_COND_LSM && unknown ? unknown & -unknown : failed;
}

/* The next rule of the pair from @i on, before the one that decided. */
static uint32_t next_earlier(const struct explain *e, const struct pair *pair, uint32_t i)
{
	const struct assay_policy_text *text = &e->file.text;
	uint32_t decided = pair_rule(e, pair);

	while (i < text->n_rules && i != decided &&
	       !(text->rules[i].action & (pair->action | pair->action << 1)))
		i++;
	return i < text->n_rules && i != decided ? i : ASSAY_NO_RULE;
}

/* The pair has no do rule anywhere: its dont rules are not looked at. */
static bool pair_is_idle(const struct explain *e, const struct pair *pair)
{
	for (uint32_t i = 0; i < e->file.text.n_rules; i++)
		if (e->file.text.rules[i].action == pair->action &&
		    e->file.text.rules[i].func != ASSAY_HOOK_SETXATTR_CHECK)
			return false;
	return true;
}

/* ---- for people ----------------------------------------------------------------------------- */

static void print_event(const struct explain *e)
{
	static const uint32_t subject[] = { ASSAY_COND_UID, ASSAY_COND_EUID, ASSAY_COND_GID,
					    ASSAY_COND_EGID };
	static const uint32_t object[] = { ASSAY_COND_FSMAGIC,	  ASSAY_COND_FSNAME,
					   ASSAY_COND_FS_SUBTYPE, ASSAY_COND_FSUUID,
					   ASSAY_COND_FOWNER,	  ASSAY_COND_FGROUP };
	char fact[128];

	format_mask(e->facts.mask, fact, sizeof(fact));
	printf("event: %s, mask %s, policy %s with %u rule%s\n", assay_hook_name(e->facts.hook),
	       fact, e->file.name, e->file.text.n_rules, e->file.text.n_rules == 1 ? "" : "s");
	printf("subject:");
	for (size_t i = 0; i < ARRAY_LEN(subject); i++) {
		format_fact(e, subject[i], fact, sizeof(fact));
		printf("%s %s %s", i ? "," : "", cond_name(subject[i]), fact);
	}
	printf("%s\nobject:", e->facts.any_subject ? " (not looked at: --any-subject)" : "");
	if (e->path)
		printf(" %s,", e->path);
	for (size_t i = 0; i < ARRAY_LEN(object); i++) {
		format_fact(e, object[i], fact, sizeof(fact));
		printf("%s %s %s", i ? "," : "", cond_name(object[i]), fact);
	}
	if (e->facts.label.len)
		printf(", label %s", (const char *)e->facts.label.data);
	printf("\n");
}

static void print_earlier(const struct explain *e, uint32_t i)
{
	char *text = policy_rule_text(&e->file.text.rules[i], false);
	uint32_t failed = why_not(e, i);
	char fact[128];

	format_fact(e, failed, fact, sizeof(fact));
	printf("  not line %u: %s\n", e->file.text.rules[i].line, text ? text : "?");
	if (!failed || (e->facts.any_subject && (failed & CONDS_SUBJECT)))
		printf("    holds for some subjects only\n");
	else
		printf("    %s is %s\n", cond_name(failed), fact);
	free(text);
}

static void print_pair(const struct explain *e, const struct pair *pair)
{
	uint32_t rule = pair_rule(e, pair);
	char *text;

	if (pair_is_idle(e, pair)) {
		printf("\n%s: no, the policy has no rule that says it\n", pair->name);
		return;
	}
	if (rule == ASSAY_NO_RULE) {
		printf("\n%s: no, no rule matches\n", pair->name);
	} else {
		text = policy_rule_text(&e->file.text.rules[rule], false);
		printf("\n%s: %s, by line %u: %s\n", pair->name,
		       e->match.actions & pair->action ? "yes"
		       : e->file.text.rules[rule].action & ASSAY_ACTION_DO_MASK
			       ? "no, appraise took it back"
			       : "no",
		       e->file.text.rules[rule].line, text ? text : "?");
		free(text);
	}
	for (uint32_t i = next_earlier(e, pair, 0); i != ASSAY_NO_RULE;
	     i = next_earlier(e, pair, i + 1))
		print_earlier(e, i);
}

static void print_options(const struct explain *e)
{
	const struct assay_match *m = &e->match;
	const char *before = " ";

	printf("\noptions:");
	if (!m->opts)
		printf(" none");
	if (m->opts & ASSAY_OPT_PCR) {
		printf("%spcr=%u", before, m->pcr);
		before = ", ";
	}
	if (m->opts & ASSAY_OPT_TEMPLATE) {
		printf("%stemplate=%s", before, (const char *)m->template.data);
		before = ", ";
	}
	for (size_t i = 0; i < ARRAY_LEN(opt_texts); i++) {
		if (!(m->opts & opt_texts[i].opt))
			continue;
		printf("%s%s", before, opt_texts[i].text);
		before = ", ";
	}
	for (unsigned i = 0; (m->opts & ASSAY_OPT_ALGOS) && i < ASSAY_HASH_COUNT; i++) {
		if (!(m->algos & 1u << i))
			continue;
		printf("%shash %s allowed", before, assay_hash_name((enum assay_hash)i));
		before = ", ";
	}
	printf("\nanother subject: %s\nanother mask: %s\n",
	       m->by_subject ? "may get something else" : "gets the same",
	       m->by_mask ? "may get something else" : "gets the same");
}

int explain_print(const struct explain *e)
{
	print_event(e);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		print_pair(e, &pairs[i]);
	print_options(e);
	return fflush(stdout) == 0 ? EXIT_YES : EXIT_TROUBLE;
}

/* ---- for machines --------------------------------------------------------------------------- */

static json_t *json_rule_at(const struct explain *e, uint32_t i)
{
	char *text = policy_rule_text(&e->file.text.rules[i], true);
	json_t *json = json_pack("{s:i, s:s}", "line", (int)e->file.text.rules[i].line, "text",
				 text ? text : "?");

	free(text);
	return json;
}

static json_t *json_earlier(const struct explain *e, uint32_t i)
{
	json_t *json = json_rule_at(e, i);
	uint32_t failed = why_not(e, i);
	char fact[128];

	format_fact(e, failed, fact, sizeof(fact));
	json_object_set_new(json, "failed", failed ? json_string(cond_name(failed)) : json_null());
	json_object_set_new(json, "is", failed ? answer_text(fact) : json_null());
	return json;
}

static json_t *json_pair(const struct explain *e, const struct pair *pair)
{
	uint32_t rule = pair_rule(e, pair);
	json_t *earlier = json_array();

	if (!pair_is_idle(e, pair))
		for (uint32_t i = next_earlier(e, pair, 0); i != ASSAY_NO_RULE;
		     i = next_earlier(e, pair, i + 1))
			json_array_append_new(earlier, json_earlier(e, i));
	return json_pack("{s:b, s:o, s:o}", "result", (e->match.actions & pair->action) != 0,
			 "rule", rule == ASSAY_NO_RULE ? json_null() : json_rule_at(e, rule),
			 "earlier", earlier);
}

static json_t *json_options(const struct assay_match *m)
{
	json_t *json = json_object(), *flags = json_array(), *algos = json_array();

	for (size_t i = 0; i < ARRAY_LEN(opt_texts); i++)
		if (m->opts & opt_texts[i].opt)
			json_array_append_new(flags, json_string(opt_texts[i].text));
	for (unsigned i = 0; (m->opts & ASSAY_OPT_ALGOS) && i < ASSAY_HASH_COUNT; i++)
		if (m->algos & 1u << i)
			json_array_append_new(algos,
					      json_string(assay_hash_name((enum assay_hash)i)));
	json_object_set_new(json, "flags", flags);
	json_object_set_new(json, "algos", algos);
	if (m->opts & ASSAY_OPT_PCR)
		json_object_set_new(json, "pcr", json_integer(m->pcr));
	if (m->opts & ASSAY_OPT_TEMPLATE)
		json_object_set_new(json, "template", json_string((const char *)m->template.data));
	return json;
}

static json_t *json_event(const struct explain *e)
{
	json_t *json = json_object();
	char fact[128];

	for (size_t i = 0; i < ARRAY_LEN(cond_names); i++) {
		uint32_t cond = cond_names[i].cond;

		if (cond == ASSAY_COND_LSM || cond == ASSAY_COND_KEYRINGS)
			continue;
		format_fact(e, cond, fact, sizeof(fact));
		json_object_set_new(json, cond_names[i].name, answer_text(fact));
	}
	if (e->path)
		json_object_set_new(json, "path", answer_text(e->path));
	json_object_set_new(json, "any_subject", json_boolean(e->facts.any_subject));
	return json;
}

json_t *explain_json(const struct explain *e)
{
	json_t *json = json_pack("{s:o, s:o, s:o, s:b, s:b}", "policy", answer_text(e->file.name),
				 "event", json_event(e), "options", json_options(&e->match),
				 "by_subject", e->match.by_subject, "by_mask", e->match.by_mask);

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		json_object_set_new(json, pairs[i].name, json_pair(e, &pairs[i]));
	return json;
}
