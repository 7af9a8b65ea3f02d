/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules to text, in the order of the kernel's read-back (ima_policy_show()), one blank between
 * tokens. What is printed here parses to the same rule.
 */
#include "base/hex.h"
#include "formats/policy_parser.h"

static void print_key(struct assay_wr *w, enum assay_policy_key_id id, char op)
{
	assay_wr_fmt(w, " %s%c", assay_policy_key(id)->word, op);
}

static void print_bytes(struct assay_wr *w, enum assay_policy_key_id id, struct assay_bytes value)
{
	print_key(w, id, '=');
	assay_wr_bytes(w, value);
}

static void print_items(struct assay_wr *w, enum assay_policy_key_id id,
			const struct assay_rule *rule)
{
	print_key(w, id, '=');
	for (uint32_t i = 0; i < rule->n_items; i++) {
		if (i)
			assay_wr_str(w, "|");
		assay_wr_bytes(w, rule->items[i]);
	}
}

static void print_id(struct assay_wr *w, enum assay_policy_key_id id,
		     const struct assay_id_cond *cond)
{
	print_key(w, id, "=><"[cond->op]);
	assay_wr_fmt(w, "%u", cond->id);
}
_Static_assert(ASSAY_IDOP_EQ == 0 && ASSAY_IDOP_GT == 1 && ASSAY_IDOP_LT == 2,
	       "operators in order");

static void print_uuid(struct assay_wr *w, const uint8_t uuid[static 16])
{
	char hex[33];

	assay_hex_encode(assay_bytes(uuid, 16), hex);
	print_key(w, ASSAY_KEY_FSUUID, '=');
	assay_wr_fmt(w, "%.*s-%.*s-%.*s-%.*s-%s", 8, hex, 4, hex + 8, 4, hex + 12, 4, hex + 16,
		     hex + 20);
}

/* What is matched: hook, file system, buffer. PCR stands among them in the kernel's order. */
static void print_where(const struct assay_rule *rule, struct assay_wr *w)
{
	uint32_t conds = rule->conds;

	if (conds & ASSAY_COND_FUNC)
		assay_wr_fmt(w, " func=%s", assay_hook_name(rule->func));
	if (conds & ASSAY_COND_MASK)
		assay_wr_fmt(w, " mask=%s%s", conds & ASSAY_COND_INMASK ? "^" : "",
			     assay_may_name(rule->mask));
	if (conds & ASSAY_COND_FSMAGIC)
		assay_wr_fmt(w, " fsmagic=0x%llx", (unsigned long long)rule->fsmagic);
	if (conds & ASSAY_COND_FSNAME)
		print_bytes(w, ASSAY_KEY_FSNAME, rule->fsname);
	if (conds & ASSAY_COND_FS_SUBTYPE)
		print_bytes(w, ASSAY_KEY_FS_SUBTYPE, rule->fs_subtype);
	if (conds & ASSAY_COND_KEYRINGS)
		print_items(w, ASSAY_KEY_KEYRINGS, rule);
	if (conds & ASSAY_COND_LABEL)
		print_items(w, ASSAY_KEY_LABEL, rule);
	if (rule->opts & ASSAY_OPT_PCR)
		assay_wr_fmt(w, " pcr=%u", rule->pcr);
	if (conds & ASSAY_COND_FSUUID)
		print_uuid(w, rule->fsuuid);
}

static void print_who(const struct assay_rule *rule, struct assay_wr *w)
{
	if (rule->conds & ASSAY_COND_UID)
		print_id(w, ASSAY_KEY_UID, &rule->uid);
	if (rule->conds & ASSAY_COND_EUID)
		print_id(w, ASSAY_KEY_EUID, &rule->uid);
	if (rule->conds & ASSAY_COND_GID)
		print_id(w, ASSAY_KEY_GID, &rule->gid);
	if (rule->conds & ASSAY_COND_EGID)
		print_id(w, ASSAY_KEY_EGID, &rule->gid);
	if (rule->conds & ASSAY_COND_FOWNER)
		print_id(w, ASSAY_KEY_FOWNER, &rule->fowner);
	if (rule->conds & ASSAY_COND_FGROUP)
		print_id(w, ASSAY_KEY_FGROUP, &rule->fgroup);
}

static void print_algos(uint32_t algos, struct assay_wr *w)
{
	const char *before = "";

	print_key(w, ASSAY_KEY_APPRAISE_ALGOS, '=');
	for (unsigned i = 0; i < ASSAY_HASH_COUNT; i++) {
		if (!(algos & 1u << i))
			continue;
		assay_wr_fmt(w, "%s%s", before, assay_hash_name((enum assay_hash)i));
		before = ",";
	}
}

/* "imasig|modsig" and then "sigv3" may both be given, in this order only. */
static void print_appraise_type(uint32_t opts, struct assay_wr *w)
{
	if (opts & ASSAY_OPT_MODSIG_ALLOWED)
		assay_wr_str(w, " appraise_type=imasig|modsig");
	if (opts & ASSAY_OPT_SIGV3_REQUIRED)
		assay_wr_str(w, " appraise_type=sigv3");
	if (!(opts & (ASSAY_OPT_MODSIG_ALLOWED | ASSAY_OPT_SIGV3_REQUIRED)))
		assay_wr_str(w, " appraise_type=imasig");
}

static void print_options(const struct assay_rule *rule, struct assay_wr *w)
{
	if (rule->opts & ASSAY_OPT_ALGOS)
		print_algos(rule->algos, w);
	for (unsigned i = 0; i < ASSAY_LSM_COUNT; i++)
		if (rule->lsm[i].len)
			print_bytes(w, (enum assay_policy_key_id)(ASSAY_KEY_OBJ_USER + i),
				    rule->lsm[i]);
	if (rule->opts & ASSAY_OPT_TEMPLATE)
		print_bytes(w, ASSAY_KEY_TEMPLATE, rule->template);
	if (rule->opts & ASSAY_OPT_DIGSIG_REQUIRED)
		print_appraise_type(rule->opts, w);
	if (rule->opts & ASSAY_OPT_VERITY_REQUIRED)
		assay_wr_str(w, " digest_type=verity");
	if (rule->opts & ASSAY_OPT_PERMIT_DIRECTIO)
		assay_wr_str(w, " permit_directio");
}

void assay_rule_print(const struct assay_rule *rule, struct assay_wr *w)
{
	assay_wr_str(w, assay_action_name(rule->action));
	print_where(rule, w);
	print_who(rule, w);
	print_options(rule, w);
}

void assay_policy_print(const struct assay_policy_text *policy, struct assay_wr *w)
{
	for (uint32_t i = 0; i < policy->n_rules; i++) {
		assay_rule_print(&policy->rules[i], w);
		assay_wr_str(w, "\n");
	}
}
