/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/core/core.h"

#include <errno.h>

/* What policy conditions look at, before anything about the content is asked for. */
#define MATCH_FACTS (ASSAY_FACT_SUBJECT | ASSAY_FACT_FS | ASSAY_FACT_OWNER)

/* Fields whose facts nobody gathers yet: a record that leaves them empty would lie. */
static bool field_can_be_written(enum assay_hash hash, enum assay_field field)
{
	switch (field) {
	case ASSAY_FIELD_D:
		return hash == ASSAY_HASH_SHA1;
	case ASSAY_FIELD_N:
	case ASSAY_FIELD_D_NG:
	case ASSAY_FIELD_D_NGV2:
	case ASSAY_FIELD_N_NG:
	case ASSAY_FIELD_BUF:
	case ASSAY_FIELD_IUID:
	case ASSAY_FIELD_IGID:
	case ASSAY_FIELD_IMODE:
		return true;
	default:
		return false;
	}
}

/* Whether it can be written without signatures, too. @hash: of contents. */
static int parse_template(enum assay_hash hash, struct assay_bytes name,
			  struct assay_core_template *ret, struct assay_err *err)
{
	struct assay_core_template t = { .name = name };
	int rc = assay_template_parse(name, &t.template, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < t.template.n_fields; i++) {
		enum assay_field field = t.template.fields[i];

		if (!field_can_be_written(hash, field))
			return assay_err_set(err, -EOPNOTSUPP,
					     "template '%.*s': field '%s' cannot be written%s",
					     (int)name.len, name.data, assay_field_name(field),
					     field == ASSAY_FIELD_D ? " with this hash"
								    : " by this version");
	}
	*ret = t;
	return 0;
}

static struct assay_bytes standard_template(const struct assay_core_config *config)
{
	return config->template.len ? config->template : assay_bytes_str("ima-ng");
}

static int init_templates(struct assay_core *c, struct assay_err *err)
{
	enum assay_hash hash = c->config.hash;
	int rc = parse_template(hash, standard_template(&c->config), &c->standard, err);

	if (rc == 0)
		rc = parse_template(hash, assay_bytes_str("ima-buf"), &c->buffer, err);
	return rc;
}

int assay_core_new(struct assay_arena *arena, const struct assay_ports *ports,
		   const struct assay_core_config *config, struct assay_core **ret,
		   struct assay_err *err)
{
	struct assay_core *c = assay_arena_alloc(arena, 1, sizeof(*c));
	int rc;

	if (!c)
		return assay_err_set(err, -ENOMEM, "no memory for the core");
	if (config->pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EOPNOTSUPP, "no PCR %u", config->pcr);
	if (!ports->crypto.ops->has_hash(ports->crypto.ctx, config->hash))
		return assay_err_set(err, -EOPNOTSUPP, "no hash '%s'",
				     assay_hash_name(config->hash));
	c->ports = *ports;
	c->config = *config;
	c->data = assay_arena_alloc(arena, ASSAY_CORE_DATA_MAX, 1);
	c->record = assay_arena_alloc(arena, ASSAY_CORE_HEAD_MAX + ASSAY_CORE_DATA_MAX, 1);
	if (!c->data || !c->record)
		return assay_err_set(err, -ENOMEM, "no memory for the core");
	assay_dedup_init(&c->dedup, arena);
	assay_batcher_init(&c->batcher, arena, &ports->crypto, &config->banks);
	rc = init_templates(c, err);
	if (rc == 0)
		*ret = c;
	return rc;
}

void assay_core_done(struct assay_core *c)
{
	if (c)
		assay_batcher_done(&c->batcher);
}

static int check_rule(enum assay_hash hash, const struct assay_rule *rule, struct assay_err *err)
{
	struct assay_core_template unused;
	struct assay_err why;
	int rc;

	if (rule->action != ASSAY_ACTION_MEASURE)
		return 0;
	if ((rule->opts & ASSAY_OPT_PCR) && rule->pcr >= ASSAY_PCRS)
		return assay_err_at_line(err, -EOPNOTSUPP, rule->line, 0, "a TPM has no PCR %u",
					 rule->pcr);
	if (!(rule->opts & ASSAY_OPT_TEMPLATE))
		return 0;
	rc = parse_template(hash, rule->template, &unused, &why);
	return rc < 0 ? assay_err_at_line(err, rc, rule->line, 0, "%s", why.text) : 0;
}

static int check_rules(enum assay_hash hash, const struct assay_policy *policy,
		       struct assay_err *err)
{
	const struct assay_policy_text *text = policy ? assay_policy_text(policy) : NULL;
	int rc = 0;

	for (uint32_t i = 0; text && rc == 0 && i < text->n_rules; i++)
		rc = check_rule(hash, &text->rules[i], err);
	return rc;
}

int assay_core_check_policy(const struct assay_core_config *config,
			    const struct assay_policy *policy, struct assay_err *err)
{
	struct assay_core_template unused;
	int rc = parse_template(config->hash, standard_template(config), &unused, err);

	return rc < 0 ? rc : check_rules(config->hash, policy, err);
}

int assay_core_set_policy(struct assay_core *c, const struct assay_policy *policy,
			  struct assay_err *err)
{
	int rc = check_rules(c->config.hash, policy, err);

	if (rc == 0)
		c->policy = policy;
	return rc;
}

uint64_t assay_core_records(const struct assay_core *c)
{
	return c->records;
}

uint64_t assay_core_violations(const struct assay_core *c)
{
	return c->violations;
}

static bool is_buffer_hook(enum assay_hook hook)
{
	return hook == ASSAY_HOOK_KEY_CHECK || hook == ASSAY_HOOK_CRITICAL_DATA ||
	       hook == ASSAY_HOOK_KEXEC_CMDLINE;
}

/* The template that the matched rule asks for. */
static int choose_template(const struct assay_core *c, const struct assay_facts *facts,
			   const struct assay_match *match, struct assay_core_template *ret,
			   struct assay_err *err)
{
	if (match->template.len > 0)
		return parse_template(c->config.hash, match->template, ret, err);
	*ret = is_buffer_hook(facts->match.hook) ? c->buffer : c->standard;
	return 0;
}

/* The facts that a record of this template takes. */
static uint32_t record_needs(const struct assay_facts *facts, const struct assay_match *match,
			     const struct assay_template *t)
{
	uint32_t need;

	if (is_buffer_hook(facts->match.hook))
		return ASSAY_FACT_BUFFER;
	need = ASSAY_FACT_PATH;
	if (!facts->unreadable)
		need |= match->opts & ASSAY_OPT_VERITY_REQUIRED ? ASSAY_FACT_VERITY
								: ASSAY_FACT_DIGEST;
	for (uint32_t i = 0; i < t->n_fields; i++)
		if (t->fields[i] == ASSAY_FIELD_IUID || t->fields[i] == ASSAY_FIELD_IGID ||
		    t->fields[i] == ASSAY_FIELD_IMODE)
			need |= ASSAY_FACT_OWNER;
	return need;
}

/* In the kernel's order: what is open for writing is said before what was read is measured. Of what
 * is executed too: the kernel measures it when it has shut out writers, we before. */
static bool is_violation(const struct assay_facts *facts)
{
	return facts->open_writers && (facts->match.hook == ASSAY_HOOK_FILE_CHECK ||
				       facts->match.hook == ASSAY_HOOK_BPRM_CHECK ||
				       facts->match.hook == ASSAY_HOOK_CREDS_CHECK ||
				       facts->match.hook == ASSAY_HOOK_MMAP_CHECK ||
				       facts->match.hook == ASSAY_HOOK_MMAP_CHECK_REQPROT);
}

int assay_core_violation(struct assay_core *c, struct assay_bytes path, uint64_t *ret_index,
			 struct assay_err *err)
{
	struct assay_new_record rec = { .pcr = c->config.pcr,
					.template = &c->standard,
					.violation = true,
					.facts = { .name = path,
						   .violation_alg = c->config.hash } };
	bool is_new;

	return assay_core_append(c, &rec, ret_index, &is_new, err);
}

/* The file's digest as the rule wants it; false: a rule for fs-verity, and the file has none, which
 * the kernel does not measure either. Content that cannot be read is a digest of zeros. */
static bool choose_digest(const struct assay_core *c, const struct assay_facts *facts,
			  const struct assay_match *match, struct assay_digest *ret)
{
	if (facts->unreadable) {
		*ret = (struct assay_digest){ .alg = c->config.hash };
		return true;
	}
	*ret = match->opts & ASSAY_OPT_VERITY_REQUIRED ? facts->verity : facts->digest;
	return !(match->opts & ASSAY_OPT_VERITY_REQUIRED) || ret->alg == ASSAY_HASH_SHA256 ||
	       ret->alg == ASSAY_HASH_SHA512;
}

static void fill_file(const struct assay_facts *facts, const struct assay_match *match,
		      const struct assay_digest *digest, struct assay_template_facts *ret)
{
	*ret = (struct assay_template_facts){ .digest = digest,
					      .verity = match->opts & ASSAY_OPT_VERITY_REQUIRED,
					      .name = facts->path,
					      .uid = facts->match.fowner,
					      .gid = facts->match.fgroup,
					      .mode = facts->mode,
					      .has_owner = facts->have & ASSAY_FACT_OWNER };
}

static int fill_buffer(const struct assay_core *c, const struct assay_facts *facts,
		       struct assay_digest *digest, struct assay_template_facts *ret)
{
	digest->alg = c->config.hash;
	*ret = (struct assay_template_facts){ .digest = digest,
					      .name = facts->buffer_name,
					      .buf = facts->buffer };
	return c->ports.crypto.ops->hash(c->ports.crypto.ctx, digest->alg, facts->buffer,
					 digest->data);
}

static int measure(struct assay_core *c, const struct assay_facts *facts,
		   const struct assay_core_template *t, struct assay_decision *d,
		   struct assay_err *err)
{
	struct assay_new_record rec = { .template = t };
	struct assay_digest digest;
	uint64_t index;
	bool is_new;
	int rc = 0;

	rec.pcr = d->match.opts & ASSAY_OPT_PCR ? d->match.pcr : c->config.pcr;
	if (is_buffer_hook(facts->match.hook))
		rc = fill_buffer(c, facts, &digest, &rec.facts);
	else if (!choose_digest(c, facts, &d->match, &digest))
		return 0;
	else
		fill_file(facts, &d->match, &digest, &rec.facts);
	if (rc == 0 && is_violation(facts)) {
		rc = assay_core_violation(c, facts->path, &d->wait_for, err);
		d->n_new = 1;
	}
	if (rc < 0)
		return rc;
	rc = assay_core_append(c, &rec, &index, &is_new, err);
	if (rc < 0)
		return rc;
	if (d->n_new == 0 || index > d->wait_for)
		d->wait_for = index;
	d->n_new += is_new;
	return 0;
}

/* What the policy says; for everybody if that is asked and has one answer, else for this opener. */
static void match_policy(const struct assay_core *c, struct assay_match_facts *facts,
			 struct assay_match *ret)
{
	assay_policy_match(c->policy, facts, ret);
	if (!facts->any_subject || facts->unseen_subject || !ret->by_subject)
		return;
	facts->any_subject = false;
	assay_policy_match(c->policy, facts, ret);
}

/* Who opens next may get another answer if a condition on subject or mask was looked at. What is
 * measured already is not measured again for another mask, which is what eager means. */
static bool holds_for_all(const struct assay_match *m, bool any_subject)
{
	if (m->by_subject)
		return false;
	if (any_subject && (m->actions & ASSAY_ACTION_MEASURE))
		return (m->pairs_by_mask & ~(uint32_t)ASSAY_ACTION_MEASURE) == 0;
	return !m->by_mask;
}

int assay_event(struct assay_core *c, const struct assay_facts *facts, struct assay_decision *ret,
		struct assay_err *err)
{
	struct assay_decision d = { .verdict = ASSAY_ALLOW, .wait_for = ASSAY_NO_RECORD };
	struct assay_match_facts match = facts->match;
	struct assay_core_template t;
	uint32_t needs = c->policy ? assay_policy_needs(c->policy, match.hook) : 0;
	int rc = 0;

	d.holds_for_all = true;
	d.need = needs & MATCH_FACTS & ~facts->have;
	if (needs == 0 || d.need != 0) {
		*ret = d;
		return 0;
	}
	match_policy(c, &match, &d.match);
	d.holds_for_all = holds_for_all(&d.match, match.any_subject);
	if (d.match.actions & ASSAY_ACTION_MEASURE) {
		rc = choose_template(c, facts, &d.match, &t, err);
		if (rc < 0)
			return rc;
		d.need = record_needs(facts, &d.match, &t.template) & ~facts->have;
		if (d.need == 0)
			rc = measure(c, facts, &t, &d, err);
	}
	if (rc == 0)
		*ret = d;
	return rc;
}
