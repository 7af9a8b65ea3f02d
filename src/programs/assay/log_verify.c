/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list judged against PCR values, for "assay log verify" and "assay quote verify": walks it,
 * judges, tells, and gives the exit status. */
#include "programs/assay/log_verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log_verdict.h"

#define IMA_PCR 10 /* CONFIG_IMA_MEASURE_PCR_IDX */

/* The runs over one file. */
struct run {
	const struct log_input *input;
	struct assay_crypto crypto;
	const struct log_claims *claims;
	const struct log_verify_options *o;
	const char *label; /* in front of what is told of entries */
	bool quick, padded, anchored;
	bool begun;	     /* an entry that is not about assayd itself came */
	uint64_t told;	     /* bare violations, in a run before this one too */
	uint64_t seen;	     /* those of this run */
	atomic_bool waiting; /* records wait for batch records */
	struct assay_verify *verify;
	struct assay_checker checker; /* to name violations */
	struct log_found *found;
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
	printf("%sviolation: entry %llu, PCR %u, '%s': its data are protected by nothing, anybody "
	       "can have changed them\n",
	       run->label, (unsigned long long)assay_replay_records(replay) - 1, record->pcr, name);
}

/* One that a batch record covers is protected like any other entry. */
static bool is_bare_violation(const struct run *run, const struct assay_record *record)
{
	return record->violation &&
	       assay_replay_role(assay_verify_replay(run->verify)) != ASSAY_ROLE_COVERED;
}

/* What assayd says of itself. */
static void take_state(struct run *run)
{
	struct assay_bytes state = assay_replay_state(assay_verify_replay(run->verify)), event, why;
	struct assay_wr w = assay_wr(run->found->why, sizeof(run->found->why) - 1);

	if (state.len == 0)
		return;
	event = assay_state_get(state, "event");
	/* What the kernel extends in the last moment is announced behind that. */
	if (!assay_bytes_is(event, "kernel") && !assay_bytes_is(event, "adopted"))
		run->found->stopped = assay_bytes_is(event, "stop");
	assay_history_take(&run->found->history,
			   assay_replay_records(assay_verify_replay(run->verify)) - 1, state);
	if (!assay_bytes_is(event, "segment") || run->found->why[0])
		return;
	why = assay_state_get(state, "why"); /* escaped: no control characters are in it */
	assay_wr_raw(&w, why.data, why.len < w.cap ? why.len : w.cap);
	run->found->why[w.len] = '\0';
}

static int take_boot(struct run *run, const struct assay_record *record, struct assay_err *err)
{
	const struct assay_replay *replay = assay_verify_replay(run->verify);
	struct log_found *f = run->found;
	struct assay_boot boot = {
		.index = assay_replay_records(replay) - 1,
		.placed = assay_replay_placed(replay),
		.pcr = record->pcr,
		.first = !run->begun,
	};
	struct assay_template_data cut;
	struct assay_boot *more;

	if (record->violation || assay_checker_cut(&run->checker, record, &cut, NULL) < 0 ||
	    !assay_boot_read(&cut, &boot.digest))
		return 0;
	if (f->n_boots == LOG_BOOTS_MAX) { /* files that bear the name: no kexecs are so many */
		f->boots[LOG_BOOTS_MAX - 1] = boot;
		return 0;
	}
	more = realloc(f->boots, (f->n_boots + 1) * sizeof(*more));
	if (!more)
		return assay_err_set(err, -ENOMEM, "out of memory");
	f->boots = more;
	f->boots[f->n_boots++] = boot;
	return 0;
}

static int take_record(void *ctx, const struct assay_record *record, uint64_t offset,
		       struct assay_record_digests *digests, struct assay_err *err)
{
	struct run *run = ctx;
	int r = assay_verify_record(run->verify, record, offset, digests, err);
	bool each;

	if (r == 0 && digests->boot_aggregate)
		r = take_boot(run, record, err);
	if (r < 0)
		return r;
	run->begun |= assay_replay_state(assay_verify_replay(run->verify)).len == 0;
	take_state(run);
	if (is_bare_violation(run, record) && ++run->seen > run->told) {
		run->told = run->seen;
		if (!run->o->json)
			tell_violation(run, record);
	}
	each = assay_replay_mode(assay_verify_replay(run->verify)) == ASSAY_LIST_EACH;
	atomic_store_explicit(&run->waiting, !each, memory_order_relaxed);
	if (run->quick && !each)
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
		.claims = run->claims->claim,
		.n_claims = run->claims->n,
		.base = in->head ? in->head->base : NULL,
		.head = in->head ? in->file.bytes.data + ASSAY_SEGMENT_CHECKSUM : NULL,
		.padded = run->padded,
		.anchored = run->anchored,
		.quick = run->quick,
	};
	struct log_walk walk = { .list = in->list,
				 .jobs = run->o->jobs,
				 .waiting = &run->waiting,
				 .record = take_record,
				 .ctx = run };
	int r;

	if (in->head)
		config.base_banks = in->head->banks;
	assay_verify_free(run->verify);
	run->verify = NULL;
	run->seen = 0;
	run->begun = false;
	run->waiting = false;
	run->found->stopped = false;
	run->found->history = (struct assay_history){ 0 };
	run->found->n_boots = 0;
	run->found->why[0] = '\0';
	r = assay_verify_new(&config, &run->verify, err);
	if (r < 0)
		return r;
	/* Not ours, which changes with each entry that it names: threads copy this one. */
	walk.checker = assay_verify_checker(run->verify);
	run->checker = *walk.checker;
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

	run->quick = run->claims->n > 0;
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

void log_examine(const struct log_input *input, const struct log_claims *claims,
		 const struct log_verify_options *o, const struct assay_crypto *crypto,
		 const char *label, struct log_found *ret)
{
	struct run run = { .input = input,
			   .crypto = *crypto,
			   .claims = claims,
			   .o = o,
			   .label = label,
			   .found = ret };

	*ret = (struct log_found){ 0 };
	ret->error = run_all(&run, &ret->sum, &ret->err);
	ret->verify = run.verify;
	if (!run.verify)
		return;
	if (ret->error == 0)
		ret->error = assay_boot_judge(crypto, run.verify, claims->claim, claims->n,
					      ret->boots, ret->n_boots, &ret->boot);
	if (ret->error < 0)
		name_entry(&run, &ret->err);
	ret->err.has_offset = input->source != LOG_ASCII;
	ret->err.offset += input->offset;
}

void log_found_done(struct log_found *f)
{
	assay_verify_free(f->verify);
	free(f->boots);
	f->verify = NULL;
	f->boots = NULL;
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
	const struct log_claims *c = &v->o->claims;

	return c->n && (!v->found.sum.all_reached || !named_all_reached(v->found.verify, c));
}

static void say(struct log_verdict *v, int exit_status, const char *fmt, ...) ASSAY_PRINTF(3, 4);
static void say(struct log_verdict *v, int exit_status, const char *fmt, ...)
{
	va_list ap;

	v->exit_status = exit_status;
	va_start(ap, fmt);
	assay_fmt_v(v->reason, sizeof(v->reason), fmt, ap);
	va_end(ap);
}

/* An error that tells nothing of the list: what it was met with is not known here. */
static bool is_trouble(int error)
{
	return error == -EOPNOTSUPP || error == -ENOMEM;
}

/* False: an older segment, or how the segments follow each other, settles it. */
static bool judge_segments(struct log_verdict *v)
{
	const struct log_segment *trouble = NULL;

	for (size_t i = 0; v->segments && i < v->list->n; i++) {
		const struct log_segment *s = &v->segments[i];
		unsigned long long number = s->head->number;

		if (s->found.error < 0 && !is_trouble(s->found.error)) {
			say(v, EXIT_NO, "does not hold: an entry of segment %llu cannot be right",
			    number);
			return false;
		}
		if (s->found.error < 0 && !trouble)
			trouble = s;
		if (s->link.fault) {
			say(v, EXIT_NO, "does not hold: segment %llu: %s", number, s->link.why);
			return false;
		}
	}
	if (trouble)
		say(v, EXIT_TROUBLE,
		    "could not tell: an entry of segment %llu is of a kind that is not known here",
		    (unsigned long long)trouble->head->number);
	return !trouble;
}

/* False: what the values say of the last segment, or the only one, settles it. */
static bool judge_values(struct log_verdict *v)
{
	const struct assay_verify_summary *s = &v->found.sum;
	size_t n = v->o->claims.n;

	if (is_trouble(v->found.error))
		say(v, EXIT_TROUBLE,
		    "could not tell: an entry is of a kind that is not known here");
	else if (v->found.error < 0)
		say(v, EXIT_NO, "does not hold: an entry cannot be right");
	else if (any_missed(v))
		say(v, EXIT_NO, "does not hold: a PCR value is not reached");
	else if (n && !s->any_reached)
		say(v, EXIT_NO, "does not hold: the PCR values prove no entry");
	else if (n && !s->one_moment)
		say(v, EXIT_NO, "does not hold: the PCRs never had these values at one moment");
	else if (s->base_set && !s->base_vouched)
		say(v, EXIT_NO,
		    "does not hold: it begins at PCR values that no proved entry vouches for, so "
		    "entries before may be missing");
	else if (n && v->found.boot.state == ASSAY_BOOT_DIFFERS)
		say(v, EXIT_NO,
		    "does not hold: the boot_aggregate is not that of the PCR values: of another "
		    "boot, "
		    "or they were extended since");
	else
		return true;
	return false;
}

static bool any_violation(const struct log_verdict *v)
{
	bool any = v->found.sum.violations > 0;

	for (size_t i = 0; v->segments && i < v->list->n; i++)
		any |= v->segments[i].found.sum.violations > 0;
	return any;
}

/* The newest segment that began with what no list explains; NULL: none did. */
static const struct log_segment *last_gap(const struct log_verdict *v)
{
	for (size_t i = v->segments ? v->list->n : 0; i > 0; i--)
		if (v->segments[i - 1].gap)
			return &v->segments[i - 1];
	return NULL;
}

/* What assayd says of its hand-overs does not fit together, in any segment. */
static bool any_contradiction(const struct log_verdict *v)
{
	bool any = v->found.history.fault != ASSAY_HISTORY_RIGHT;

	for (size_t i = 0; v->segments && i < v->list->n; i++)
		any |= v->segments[i].found.history.fault != ASSAY_HISTORY_RIGHT;
	return any;
}

/* The kernel's PCR was extended, and the list has no entry of it: of others that may be somebody
 * else's business. */
static bool is_without_kernels(const struct log_verdict *v)
{
	struct assay_pcr_finding f;

	return assay_verify_pcr(v->found.verify, IMA_PCR, &f) && f.entries == 0 &&
	       f.state == ASSAY_PCR_NOT_REACHED;
}

/* False: it does not hold for whoever asks for that much. */
static bool judge_demands(struct log_verdict *v, const struct log_segment *gap)
{
	const struct assay_verify_summary *s = &v->found.sum;

	if (any_violation(v) && !v->o->ignore_violations)
		say(v, EXIT_NO, "does not hold: there are violations (see --ignore-violations)");
	else if (v->o->complete && (s->uncovered || s->waiting))
		say(v, EXIT_NO, "does not hold: not every entry is proved (--complete)");
	else if (v->o->complete &&
		 (s->absent || (s->base_set && !v->segments) || gap || is_without_kernels(v)))
		say(v, EXIT_NO, "does not hold: not all that was extended is in it (--complete)");
	else if (v->o->complete && any_contradiction(v))
		say(v, EXIT_NO,
		    "does not hold: what it says of hand-overs does not fit together (--complete)");
	else
		return true;
	return false;
}

/* Every list that a kernel or assayd has made has an entry: an empty file is a copy that failed.
 * The last of several segments may have none yet. */
static bool is_empty(const struct log_verdict *v)
{
	uint64_t entries = v->found.sum.entries;

	for (size_t i = 0; v->segments && i < v->list->n; i++)
		entries += v->segments[i].found.sum.entries;
	return v->found.error == 0 && entries == 0;
}

static void judge(struct log_verdict *v)
{
	const struct log_segment *gap = last_gap(v);

	if (!judge_segments(v))
		return;
	if (is_empty(v)) {
		say(v, EXIT_NO, "does not hold: the list is empty");
		return;
	}
	if (!judge_values(v) || !judge_demands(v, gap))
		return;
	if (v->o->claims.n == 0)
		say(v, EXIT_YES,
		    "consistent in itself; no PCR value was given, so nothing says that it is this "
		    "machine's list");
	else if (gap)
		say(v, EXIT_YES,
		    "holds, with a gap: what was extended right before segment %llu is not in it",
		    (unsigned long long)gap->head->number);
	else if (v->found.sum.base_set && !v->segments)
		say(v, EXIT_YES,
		    "holds from its first entry on; what its PCRs held before is not in it");
	else
		say(v, EXIT_YES, "holds");
}

/* Whether an entry names the last head; where the values are looked at, it must be proved. If they
 * are not reached at all, that is what is to be told. */
static bool is_vouched(const struct log_verdict *v)
{
	const struct assay_verify_summary *s = &v->found.sum;

	return v->o->claims.n && !any_missed(v) && s->any_reached ? s->base_vouched : s->head_said;
}

int log_verify(const char *command, const struct log_list *list, const struct log_verify_options *o,
	       const struct assay_crypto *crypto)
{
	const struct log_part *last = &list->part[list->n - 1];
	struct log_verdict v = { .list = list, .input = &last->input, .o = o };
	char label[64] = "";

	if (list->chain)
		v.segments = log_segments_walk(list, o, crypto);
	if (list->chain)
		assay_fmt(label, sizeof(label),
			  "segment %llu: ", (unsigned long long)last->input.head->number);
	log_examine(&last->input, &o->claims, o, crypto, label, &v.found);
	if (list->chain && !v.segments) {
		log_found_done(&v.found);
		assay_err_set(&v.found.err, -ENOMEM, "out of memory");
	}
	if (!v.found.verify) {
		free(v.segments);
		return assay_cmd_fail(command, last->path, &v.found.err);
	}
	if (v.segments)
		log_segments_judge(v.segments, list, o->first, is_vouched(&v), &v.found, crypto);
	judge(&v);
	if (o->json)
		log_verdict_json(&v);
	else
		log_verdict_text(&v);
	log_found_done(&v.found);
	free(v.segments);
	return v.exit_status;
}
