/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list judged against PCR values, for "assay log verify" and "assay quote verify": walks it,
 * judges, tells, and gives the exit status. */
#include "programs/assay/log_verify.h"

#include <errno.h>
#include <stdio.h>

#include "base/fmt.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log_verdict.h"

/* One run over the list. */
struct run {
	const struct log_input *input;
	struct assay_crypto crypto;
	const struct log_verify_options *o;
	bool quick, padded, anchored;
	uint64_t told; /* bare violations, in a run before this one too */
	uint64_t seen; /* those of this run */
	struct assay_verify *verify;
	struct assay_checker checker; /* to name violations */
};

/* ---- the walk ------------------------------------------------------------------------------- */

static void tell_violation(struct run *run, const struct assay_record *record)
{
	const struct assay_replay *replay = assay_verify_replay(run->verify);
	struct assay_template_data cut;
	char name[256];

	if (assay_checker_cut(&run->checker, record, &cut, NULL) < 0)
		return;
	log_name_print(&cut, name);
	printf("violation: entry %llu, PCR %u, '%s': its data are protected by nothing, anybody "
	       "can have changed them\n",
	       (unsigned long long)assay_replay_records(replay) - 1, record->pcr, name);
}

/* One that a batch record covers is protected like any other entry. */
static bool is_bare_violation(const struct run *run, const struct assay_record *record)
{
	return record->violation &&
	       assay_replay_role(assay_verify_replay(run->verify)) != ASSAY_ROLE_COVERED;
}

static int take_record(void *ctx, const struct assay_record *record, uint64_t offset,
		       const struct assay_record_digests *digests, struct assay_err *err)
{
	struct run *run = ctx;
	int r = assay_verify_record(run->verify, record, offset, digests, err);

	if (r < 0)
		return r;
	if (is_bare_violation(run, record) && ++run->seen > run->told) {
		run->told = run->seen;
		if (!run->o->json)
			tell_violation(run, record);
	}
	if (run->quick && assay_replay_mode(assay_verify_replay(run->verify)) != ASSAY_LIST_EACH)
		return assay_err_set(err, -EAGAIN, "no quick run over batch records");
	return 0;
}

static int run_once(struct run *run, struct assay_err *err)
{
	const struct log_input *in = run->input;
	struct assay_verify_config config = {
		.size = sizeof(config),
		.crypto = run->crypto,
		.form = in->form,
		.claims = run->o->claims.claim,
		.n_claims = run->o->claims.n,
		.base = in->head ? in->head->base : NULL,
		.head = in->head ? in->file.bytes.data + ASSAY_SEGMENT_CHECKSUM : NULL,
		.padded = run->padded,
		.anchored = run->anchored,
		.quick = run->quick,
	};
	struct log_walk walk = {
		.list = in->list, .jobs = run->o->jobs, .record = take_record, .ctx = run
	};
	int r;

	if (in->head)
		config.base_banks = in->head->banks;
	assay_verify_free(run->verify);
	run->verify = NULL;
	run->seen = 0;
	r = assay_verify_new(&config, &run->verify, err);
	if (r < 0)
		return r;
	run->checker = *assay_verify_checker(run->verify);
	walk.checker = &run->checker;
	return log_walk_run(&walk, err);
}

/* Whether the walk ended at the first batch record, which a list of the anchored form can have
 * behind records of the kernel. */
static bool may_be_anchored(const struct run *run)
{
	const struct assay_replay *r = assay_verify_replay(run->verify);

	return assay_replay_batches(r) == 0 && assay_replay_role(r) == ASSAY_ROLE_BATCH;
}

/* A list whose first batch record cannot be right may be of the anchored form. */
static int run_forms(struct run *run, struct assay_err *err)
{
	struct assay_err other;
	int r = run_once(run, err);

	if (r == 0 || !run->verify || !may_be_anchored(run))
		return r;
	run->anchored = true;
	if (run_once(run, &other) == 0)
		return 0;
	run->anchored = false;
	return run_once(run, err);
}

/* The common case is one quick run. Others are made only when that does not settle it: they take
 * as long again. */
static int run_all(struct run *run, struct assay_verify_summary *ret, struct assay_err *err)
{
	int r;

	run->quick = run->o->claims.n > 0;
	r = run->quick ? run_once(run, err) : -EAGAIN;
	if (r < 0 || !assay_verify_columns(run->verify)) {
		run->quick = false;
		r = run_forms(run, err);
	}
	if (!run->verify)
		return r;
	assay_verify_summary(run->verify, ret);
	if (r == 0 && ret->want_padded) {
		run->padded = true;
		r = run_once(run, err);
		assay_verify_summary(run->verify, ret);
	}
	return r;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

/* A PCR that was named must be reached even if the list has nothing for it. */
static bool named_all_reached(const struct assay_verify *v, const struct log_claims *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct assay_pcr_finding f;

		if (!c->named[i])
			continue;
		if (assay_verify_pcr(v, c->claim[i].pcr, &f) && f.state < ASSAY_PCR_NO_CLAIM)
			return false;
	}
	return true;
}

static bool any_missed(const struct log_verdict *v)
{
	return v->claims->n && (!v->sum.all_reached || !named_all_reached(v->verify, v->claims));
}

static void judge(struct log_verdict *v)
{
	const struct assay_verify_summary *s = &v->sum;

	v->exit_status = EXIT_NO;
	if (v->error == -EOPNOTSUPP || v->error == -ENOMEM) {
		v->exit_status = EXIT_TROUBLE;
		v->reason = "could not tell: an entry is of a kind that is not known here";
	} else if (v->error < 0) {
		v->reason = "does not hold: an entry cannot be right";
	} else if (any_missed(v)) {
		v->reason = "does not hold: a PCR value is not reached";
	} else if (v->claims->n && !s->any_reached) {
		v->reason = "does not hold: the PCR values prove no entry";
	} else if (v->claims->n && !s->one_moment) {
		v->reason = "does not hold: the PCRs never had these values at one moment";
	} else if (s->base_set && !s->base_vouched) {
		v->reason = "does not hold: it begins at PCR values that no proved entry vouches "
			    "for, so entries before may be missing";
	} else if (s->violations && !v->ignore_violations) {
		v->reason = "does not hold: there are violations (see --ignore-violations)";
	} else if (v->complete && (s->uncovered || s->waiting)) {
		v->reason = "does not hold: not every entry is proved (--complete)";
	} else if (v->complete && (s->absent || s->base_set)) {
		v->reason = "does not hold: not all that was extended is in it (--complete)";
	} else if (s->base_set) {
		v->exit_status = EXIT_YES;
		v->reason = "holds from its first entry on; what its PCRs held before is not in it";
	} else {
		v->exit_status = EXIT_YES;
		v->reason = v->claims->n
				    ? "holds"
				    : "consistent in itself; no PCR value was given, so nothing "
				      "says that it is this machine's list";
	}
}

/* Adds to the message of the entry that ended the walk what it claims to be, if it can be read. */
static void name_entry(struct run *run, struct assay_err *err)
{
	struct assay_bytes list = run->input->list;
	struct assay_template_data cut;
	struct assay_record record;
	char name[256], text[sizeof(err->text)];
	struct assay_rd at;

	if (!err->has_offset || err->offset >= list.len)
		return;
	at = assay_rd(assay_bytes(list.data + err->offset, list.len - err->offset));
	if (assay_record_parse(&at, &run->input->form, &record, NULL) < 0 ||
	    assay_checker_cut(&run->checker, &record, &cut, NULL) < 0)
		return;
	log_name_print(&cut, name);
	assay_fmt(text, sizeof(text), "%s; the entry is '%.*s', '%s'", err->text,
		  (int)record.template_name.len, (const char *)record.template_name.data, name);
	memcpy(err->text, text, sizeof(text));
}

int log_verify(const char *command, const char *file, const struct log_verify_options *o,
	       const struct assay_crypto *crypto)
{
	__attribute__((cleanup(assay_auto_log_input))) struct log_input input = { 0 };
	struct run run = { .crypto = *crypto, .o = o, .input = &input };
	struct log_verdict v = { .input = &input,
				 .claims = &o->claims,
				 .ignore_violations = o->ignore_violations,
				 .complete = o->complete };

	if (log_input_open(file, crypto, &input, &v.err) < 0)
		return assay_cmd_fail(command, file, &v.err);
	v.error = run_all(&run, &v.sum, &v.err);
	if (!run.verify)
		return assay_cmd_fail(command, file, &v.err);
	if (v.error < 0)
		name_entry(&run, &v.err);
	v.err.has_offset = input.source != LOG_ASCII;
	v.err.offset += input.offset;
	v.verify = run.verify;
	judge(&v);
	if (o->json)
		log_verdict_json(&v);
	else
		log_verdict_text(&v);
	assay_verify_free(run.verify);
	return v.exit_status;
}
