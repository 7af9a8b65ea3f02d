/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records about ourselves (docs/formats/state.md lists their keys). */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"
#include "base/num.h"

/* Some records may use the reserved space though nothing is missing. */
static bool is_gap(const char *what)
{
	static const char *const no_gaps[] = { "policy",   "stop",     "adopted",
					       "handover", "takeover", "handover_failed" };

	for (size_t i = 0; i < ARRAY_LEN(no_gaps); i++)
		if (strcmp(what, no_gaps[i]) == 0)
			return false;
	return true;
}

int recorder_state_locked(struct recorder *r, const char *what,
			  void (*fill)(void *ctx, struct assay_wr *w), void *ctx, bool gap,
			  uint64_t *ret_index, struct assay_err *err)
{
	uint8_t buf[ASSAY_STATE_SIZE_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	uint64_t index;
	int rc;

	assay_state_begin(&w, what);
	if (fill)
		fill(ctx, &w);
	if (!assay_wr_ok(&w))
		return assay_err_set(err, -E2BIG, "state record '%s' is too long", what);
	if (gap)
		rc = assay_core_gap(r->core, assay_wr_done(&w), &index, err);
	else
		rc = assay_core_buffer(r->core, r->config.core.pcr, ASSAY_STATE_NAME,
				       assay_wr_done(&w), &index, err);
	if (rc < 0)
		return rc;
	r->counts.gaps += gap && is_gap(what);
	pthread_cond_signal(&r->work);
	if (ret_index)
		*ret_index = r->index_base + index;
	return 0;
}

void recorder_state_clock(struct assay_wr *w, const struct assay_tpm_clock *clock)
{
	assay_state_add_u64(w, "clock", clock->clock);
	assay_state_add_u64(w, "reset", clock->reset_count);
	assay_state_add_u64(w, "restart", clock->restart_count);
	assay_state_add_u64(w, "safe", clock->safe);
}

struct base_args {
	const struct recorder_seen *seen;
	uint32_t pcr;
};

static void fill_base(void *ctx, struct assay_wr *w)
{
	const struct base_args *a = ctx;

	assay_state_add_u64(w, "pcr", a->pcr);
	for (uint32_t i = 0; i < a->seen->banks.n; i++) {
		enum assay_hash alg = a->seen->banks.alg[i];

		assay_state_add_hex(w, assay_hash_name(alg),
				    assay_bytes(a->seen->pcr[a->pcr].value[i],
						assay_hash_size(alg)));
	}
}

int recorder_state_base(struct recorder *r, const struct recorder_seen *seen, uint32_t pcr,
			struct assay_err *err)
{
	struct base_args args = { seen, pcr };

	return recorder_state_locked(r, "base", fill_base, &args, false, NULL, err);
}

struct start_args {
	struct recorder *r;
	const struct assay_tpm_clock *clock;
	const struct assay_recover_plan *plan;
};

static const char *last_end(const struct recorder_past *past)
{
	if (!past->any)
		return "first";
	if (past->handed_over)
		return "handed-over";
	return past->clean ? "stopped" : "crashed";
}

static void fill_start(void *ctx, struct assay_wr *w)
{
	const struct start_args *a = ctx;

	assay_state_add(w, "version", assay_bytes_str(ASSAY_VERSION));
	assay_state_add_hex(w, "boot", assay_bytes(a->r->boot_id, sizeof(a->r->boot_id)));
	assay_state_add(w, "last", assay_bytes_str(last_end(&a->r->past)));
	assay_state_add_u64(w, "records", assay_core_records(a->r->core));
	assay_state_add_u64(w, "cut", assay_list_file_cut(a->r->list));
	if (a->plan) {
		assay_state_add_u64(w, "missing", a->plan->missing);
		assay_state_add_u64(w, "resumed", a->plan->counts_changed);
	}
	if (!a->clock)
		return;
	assay_state_add_u64(w, "clock_then", a->r->past.clock_ms);
	recorder_state_clock(w, a->clock);
}

int recorder_state_start(struct recorder *r, const struct assay_tpm_clock *clock,
			 const struct assay_recover_plan *plan, struct assay_err *err)
{
	struct start_args args = { r, clock, plan };

	return recorder_state_locked(r, "start", fill_start, &args, false, NULL, err);
}

static void fill_policy(void *ctx, struct assay_wr *w)
{
	const struct recorder *r = ctx;

	assay_state_add(w, "name", assay_bytes_str(r->policy_name));
	assay_state_add_hex(w, assay_hash_name(r->policy_digest.alg),
			    assay_digest_bytes(&r->policy_digest));
}

int recorder_state_policy(struct recorder *r, struct assay_err *err)
{
	return recorder_state_locked(r, "policy", fill_policy, r, true, NULL, err);
}

/* The buffer of an "assay-state" record; false if it is none. */
static bool cut_state(const struct assay_record *record, struct assay_bytes *ret)
{
	struct assay_template t;
	struct assay_template_data d;
	struct assay_bytes name;

	if (record->violation || !assay_bytes_is(record->template_name, "ima-buf") ||
	    assay_template_parse(record->template_name, &t, NULL) < 0 ||
	    assay_template_cut(&t, record->data, false, &d, NULL) < 0)
		return false;
	name = assay_template_field(&d, ASSAY_FIELD_N_NG);
	*ret = assay_template_field(&d, ASSAY_FIELD_BUF);
	return assay_bytes_equal(name, assay_bytes(ASSAY_STATE_NAME, sizeof(ASSAY_STATE_NAME))) &&
	       assay_state_is(*ret);
}

/* These may come behind the last word of a run. */
static bool is_about_kernel(struct assay_bytes event)
{
	return assay_bytes_is(event, "kernel") || assay_bytes_is(event, "adopted");
}

void recorder_past_add(struct recorder_past *past, const struct assay_record *record,
		       bool *ret_kernel)
{
	struct assay_bytes state, event, word;

	*ret_kernel = past->kernel_left > 0;
	past->kernel_left -= *ret_kernel;
	past->plain += record->size;
	if (*ret_kernel)
		past->plain = 0;
	if (*ret_kernel || !cut_state(record, &state))
		return;
	past->plain = 0;
	event = assay_state_get(state, "event");
	if (!is_about_kernel(event)) {
		past->any = true;
		past->clean = assay_bytes_is(event, "stop");
		past->handed_over = assay_bytes_is(event, "handover");
	}
	word = assay_state_get(state, "clock");
	if (word.len > 0)
		(void)assay_num_parse(word, 10, UINT64_MAX, &past->clock_ms);
	if (assay_bytes_is(event, "kernel"))
		(void)assay_num_parse(assay_state_get(state, "count"), 10, UINT64_MAX,
				      &past->kernel_left);
	word = assay_state_get(state, "kernel_total");
	if (word.len > 0)
		(void)assay_num_parse(word, 10, UINT64_MAX, &past->kernel_total);
	word = assay_state_get(state, "boot");
	if (assay_bytes_is(event, "start"))
		(void)assay_hex_decode(word, past->boot, sizeof(past->boot));
	word = assay_state_get(state, "mode");
	if (assay_bytes_is(event, "mode") && word.len < MODE_WORD_MAX) {
		memcpy(past->mode_word, word.data, word.len);
		past->mode_word[word.len] = '\0';
	}
}
