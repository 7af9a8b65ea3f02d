/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "base/hex.h"

#define STOP_MS		 10000u
#define QUOTE_TRIES	 8u
#define EACH_WAITING_MAX (ASSAY_TAIL_MAX / 2 - 8) /* records about ourselves come on top */

void recorder_log(struct recorder *r, int priority, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!r->config.log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->config.log(r->config.ctx, priority, text);
}

/* /proc/sys/kernel/random/boot_id is a UUID's text; zero if there is none. */
static void read_boot_id(uint8_t ret[static 16])
{
	struct assay_file file = { 0 };
	char digits[32];
	size_t n = 0;

	memset(ret, 0, 16);
	if (assay_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &file, NULL) < 0)
		return;
	for (size_t i = 0; i < file.bytes.len && n < sizeof(digits); i++)
		if (file.bytes.data[i] != '-' && file.bytes.data[i] != '\n')
			digits[n++] = (char)file.bytes.data[i];
	if (n != sizeof(digits) || assay_hex_decode(assay_bytes(digits, n), ret, 16) != 16)
		memset(ret, 0, 16);
	assay_file_free(&file);
}

static int init_locks(struct recorder *r)
{
	pthread_condattr_t attr;
	int rc = pthread_condattr_init(&attr);

	if (rc == 0)
		rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (rc == 0)
		rc = pthread_cond_init(&r->work, &attr);
	if (rc == 0)
		rc = pthread_cond_init(&r->gathered, &attr);
	if (rc == 0)
		rc = pthread_cond_init(&r->progress, &attr);
	if (rc == 0)
		rc = pthread_mutex_init(&r->lock, NULL);
	return -rc;
}

static void free_recorder(struct recorder *r)
{
	recorder_drop_core(r);
	recorder_drop_tip(r);
	free(r->carried.bytes);
	assay_replay_free(r->replay);
	assay_list_file_free(r->list);
	pthread_cond_destroy(&r->work);
	pthread_cond_destroy(&r->gathered);
	pthread_cond_destroy(&r->progress);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int open_list(struct recorder *r, struct assay_err *err)
{
	struct assay_list_file_config config = { .size = sizeof(config) };

	read_boot_id(r->boot_id);
	memcpy(config.boot_id, r->boot_id, sizeof(config.boot_id));
	return assay_list_file_open(r->config.list_dirfd, &config, &r->config.crypto, &r->list,
				    err);
}

/* Nothing is pending in a list that is new; in an old one the anchor thread commits first. */
static int first_mode(struct recorder *r, struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = assay_core_pending(r->core) ? 0 : recorder_set_mode(r, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int recorder_start(const struct recorder_config *config, struct recorder **ret,
		   struct assay_err *err)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return assay_err_set(err, -ENOMEM, "no memory for the recorder");
	r->config = *config;
	rc = init_locks(r);
	if (rc < 0) {
		free(r);
		return assay_err_set(err, rc, "cannot make locks");
	}
	rc = open_list(r, err);
	if (rc == 0)
		rc = recorder_place(r, false, NULL, err);
	if (rc == 0)
		rc = first_mode(r, err);
	if (rc == 0) {
		r->has_thread = true;
		rc = -pthread_create(&r->thread, NULL, recorder_anchor_thread, r);
		if (rc < 0)
			assay_err_set(err, rc, "cannot start a thread");
	}
	if (rc == 0)
		*ret = r;
	else
		free_recorder(r);
	return rc;
}

/* ---- what the anchor thread does for others ---------------------------------------------------
 */

static int run(struct recorder *r, struct recorder_job *job)
{
	pthread_mutex_lock(&r->lock);
	while (r->job && !r->ended)
		pthread_cond_wait(&r->progress, &r->lock);
	if (r->ended) {
		pthread_mutex_unlock(&r->lock);
		return assay_err_set(job->err, -ENODEV, "the TPM is not in use any more");
	}
	r->job = job;
	pthread_cond_signal(&r->work);
	while (!job->done && !r->ended)
		pthread_cond_wait(&r->progress, &r->lock);
	r->job = NULL;
	pthread_cond_broadcast(&r->progress);
	pthread_mutex_unlock(&r->lock);
	return job->done ? job->rc
			 : assay_err_set(job->err, -ENODEV, "the TPM is not in use any more");
}

struct quote_args {
	const struct assay_quote_request *request;
	struct recorder_quote *ret;
};

/* Values that leave here shall be in the list: the kernel may have extended since its last record
 * was taken over. */
static int take_kernels(struct recorder *r, struct assay_err *err)
{
	return recorder_kernel_moved(r) ? recorder_check(r, true, err) : 0;
}

/* Those of the PCRs that were asked for; others may hold what was there. */
static int read_quoted(struct recorder *r, uint32_t pcrs, struct recorder_quote *q,
		       struct assay_err *err)
{
	const struct assay_anchor *a = &r->config.anchor;

	return a->ops->read(a->ctx, pcrs, q->pcr, &q->clock, err);
}

/* We extend nothing meanwhile; the kernel may. So the values are read before and behind the quote,
 * until both are the same. */
static int quote_values(struct recorder *r, const struct assay_quote_request *request,
			struct recorder_quote *ret, struct assay_err *err)
{
	const struct assay_anchor *a = &r->config.anchor;
	struct recorder_quote before;
	int rc;

	memset(ret, 0, sizeof(*ret)); /* compared whole */
	rc = a->ops->banks(a->ctx, &ret->banks, err);
	if (rc == 0)
		rc = read_quoted(r, request->pcr_mask, ret, err);
	for (unsigned i = 0; rc == 0 && i < QUOTE_TRIES; i++) {
		before = *ret;
		rc = a->ops->quote(a->ctx, request, &ret->reply, err);
		if (rc == 0)
			rc = read_quoted(r, request->pcr_mask, ret, err);
		if (rc == 0 && memcmp(before.pcr, ret->pcr, sizeof(ret->pcr)) == 0)
			return 0;
	}
	return rc < 0 ? rc
		      : assay_err_set(err, -EAGAIN,
				      "the PCRs change too fast to be quoted; try again");
}

static int job_quote(struct recorder *r, void *arg, struct assay_err *err)
{
	struct quote_args *a = arg;
	int rc;

	if (!recorder_has_anchor(r) || !r->config.anchor.ops->quote)
		return assay_err_set(err, -EOPNOTSUPP, "there is no TPM");
	rc = quote_values(r, a->request, a->ret, err);
	return rc < 0 ? rc : take_kernels(r, err);
}

int recorder_quote(struct recorder *r, const struct assay_quote_request *request,
		   struct recorder_quote *ret, struct assay_err *err)
{
	struct quote_args args = { request, ret };
	struct recorder_job job = { .run = job_quote, .arg = &args, .err = err };

	return run(r, &job);
}

struct read_args {
	uint32_t mask;
	struct assay_pcr_value *values;
	struct assay_banks *banks;
	struct assay_tpm_clock *clock;
};

static int job_read(struct recorder *r, void *arg, struct assay_err *err)
{
	const struct assay_anchor *anchor = &r->config.anchor;
	struct read_args *a = arg;
	int rc;

	if (!recorder_has_anchor(r))
		return assay_err_set(err, -EOPNOTSUPP, "there is no TPM");
	rc = anchor->ops->banks(anchor->ctx, a->banks, err);
	if (rc == 0)
		rc = anchor->ops->read(anchor->ctx, a->mask, a->values, a->clock, err);
	return rc < 0 ? rc : take_kernels(r, err);
}

int recorder_read_pcrs(struct recorder *r, uint32_t pcr_mask,
		       struct assay_pcr_value values[ASSAY_PCRS], struct assay_banks *ret_banks,
		       struct assay_tpm_clock *ret_clock, struct assay_err *err)
{
	struct read_args args = { pcr_mask, values, ret_banks, ret_clock };
	struct recorder_job job = { .run = job_read, .arg = &args, .err = err };

	return run(r, &job);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

struct stop_args {
	const char *why;		     /* NULL: nothing stops */
	const struct assay_tpm_clock *clock; /* NULL: the TPM was not asked, or did not answer */
};

static void fill_stop(void *ctx, struct assay_wr *w)
{
	const struct stop_args *a = ctx;

	if (a->why)
		assay_state_add(w, "why", assay_bytes_str(a->why));
	if (a->clock)
		recorder_state_clock(w, a->clock);
}

/* Another one goes on where this one ends. */
static bool is_handover(const char *why)
{
	return strcmp(why, "handover") == 0;
}

static int job_check(struct recorder *r, void *arg, struct assay_err *err)
{
	(void)arg;
	return recorder_check(r, true, err);
}

void recorder_ending(struct recorder *r)
{
	pthread_mutex_lock(&r->lock);
	r->ending = true;
	pthread_cond_broadcast(&r->work);
	pthread_cond_broadcast(&r->gathered);
	pthread_mutex_unlock(&r->lock);
}

static void write_stop(struct recorder *r, const char *why)
{
	struct recorder_job check = { .run = job_check };
	struct assay_pcr_value values[ASSAY_PCRS];
	struct stop_args args = { .why = why };
	struct assay_tpm_clock clock;
	struct assay_banks banks;

	(void)recorder_flush(r, r->config.stop_ms ? r->config.stop_ms : STOP_MS);
	if (recorder_has_anchor(r) && run(r, &check) == 0 &&
	    recorder_read_pcrs(r, 0, values, &banks, &clock, NULL) == 0)
		args.clock = &clock;
	if (is_handover(why))
		args.why = NULL;
	(void)recorder_state(r, args.why ? "stop" : why, fill_stop, &args, true, NULL, NULL);
}

/* Without a core there are those of the segment that was closed. */
static uint64_t records_so_far(const struct recorder *r)
{
	return r->index_base + (r->core ? assay_core_records(r->core) : r->carried.closed);
}

void recorder_stop(struct recorder *r, const char *why)
{
	if (!r)
		return;
	recorder_ending(r);
	write_stop(r, why);
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	r->stop_upto = records_so_far(r);
	pthread_cond_broadcast(&r->work);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	if (r->upto >= r->stop_upto && r->upto < records_so_far(r))
		recorder_log(r, LOG_INFO,
			     "what announces the kernel's last records is not in the TPM; the next "
			     "start extends it");
	else if (r->upto < records_so_far(r))
		recorder_log(r, LOG_WARNING,
			     "%llu records are in the list but not in the TPM; the next start "
			     "extends them",
			     (unsigned long long)(records_so_far(r) - r->upto));
	(void)assay_list_file_sync(r->list);
	free_recorder(r);
}

/* ---- events -----------------------------------------------------------------------------------
 */

struct full_args {
	uint64_t lost;
};

static void fill_full(void *ctx, struct assay_wr *w)
{
	const struct full_args *a = ctx;

	assay_state_add_u64(w, "lost", a->lost);
}

/* The list took no record: said once, out of the reserve, and once more when it takes them again.
 */
static void note_full(struct recorder *r, int rc)
{
	r->counts.lost_events++;
	if (r->list_full_noted)
		return;
	r->list_full_noted = true;
	r->counts.list_full = true;
	(void)recorder_state_locked(r, "list-full", NULL, NULL, true, NULL, NULL);
	recorder_log(r, LOG_ERR,
		     "list '%s' after %zu bytes: %s; %s; until then events are not recorded",
		     r->config.list_dir, assay_list_file_records(r->list).len, strerror(-rc),
		     rc == -ENOSPC ? "make room on its filesystem" : "look at its medium");
}

static void note_room(struct recorder *r)
{
	struct full_args args = { r->counts.lost_events };

	if (recorder_state_locked(r, "list-resumed", fill_full, &args, true, NULL, NULL) < 0)
		return;
	r->list_full_noted = r->counts.list_full = false;
	recorder_log(r, LOG_NOTICE, "the list takes records again; %llu events were lost",
		     (unsigned long long)args.lost);
}

/* Who need not wait: the record is anchored, or callers do not wait at all. A segment without a
 * name would be lost with this process: its records count as written later. */
static uint64_t who_waits(const struct recorder *r, uint64_t index)
{
	if (index == ASSAY_NO_RECORD)
		return ASSAY_NO_RECORD;
	index += r->index_base;
	if (r->released || index < r->upto || (r->config.mode == ANCHOR_ORDERED && !r->begun))
		return ASSAY_NO_RECORD;
	return index;
}

static int event_locked(struct recorder *r, const struct assay_facts *facts,
			struct assay_decision *ret)
{
	int rc;

	if (!r->core)
		return -EIO; /* there is no segment to write to */
	rc = assay_event(r->core, facts, ret, NULL);
	if (rc == -ENOSPC || rc == -EIO)
		note_full(r, rc);
	if (rc < 0 || ret->need)
		return rc;
	ret->wait_for = who_waits(r, ret->wait_for);
	if (ret->n_new && r->list_full_noted)
		note_room(r);
	return 0;
}

/* Steps of ours: what a replay goes back over. Announced records of the kernel's are none. */
static uint64_t steps_that_wait(const struct recorder *r)
{
	return records_so_far(r) - r->upto - (r->announced - r->announced_upto);
}

static bool has_room(const struct recorder *r)
{
	if (r->owed > 0)
		return r->ended || r->list_full_noted;
	return r->config.mode != ANCHOR_EACH || !r->config.kernel_list || !recorder_has_anchor(r) ||
	       r->stopping || r->ended || r->released || records_so_far(r) <= r->upto ||
	       steps_that_wait(r) <= EACH_WAITING_MAX;
}

/* In mode "each" every record is a step, and a replay can put a record of the kernel's before no
 * more than the last few: no more shall wait for their extend. A TPM that is gone holds nobody
 * here. In any mode nothing is written before what the kernel is owed, if that can be written. */
static void wait_for_room(struct recorder *r)
{
	struct timespec until = assay_clock_at(assay_clock_ns() + 1000000000);
	int rc = 0;

	if (!has_room(r))
		pthread_cond_signal(&r->work); /* for what this message has brought so far */
	while (rc == 0 && !has_room(r))
		rc = pthread_cond_timedwait(&r->progress, &r->lock, &until);
}

/* The anchor thread is woken at the end: it would wait for the lock, and find one record. */
void recorder_events(struct recorder *r, const struct assay_facts *const facts[], uint32_t n,
		     struct assay_decision ret[], int ret_error[])
{
	bool any = false;

	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < n; i++) {
		wait_for_room(r);
		ret_error[i] = event_locked(r, facts[i], &ret[i]);
		if (ret_error[i] < 0 || ret[i].need || !ret[i].n_new)
			continue;
		r->gathered_n++;
		any = true;
	}
	if (any)
		pthread_cond_signal(&r->work);
	if (r->gathered_n >= r->expected_n ||
	    (r->config.more_coming && !r->config.more_coming(r->config.ctx)))
		pthread_cond_signal(&r->gathered);
	pthread_mutex_unlock(&r->lock);
}

int recorder_state(struct recorder *r, const char *what,
		   void (*fill)(void *ctx, struct assay_wr *w), void *ctx, bool gap,
		   uint64_t *ret_index, struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	if (r->owed > 0)
		wait_for_room(r);
	if (r->core)
		rc = recorder_state_locked(r, what, fill, ctx, gap, ret_index, err);
	else
		rc = assay_err_set(err, -EIO, "there is no segment to write to");
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int recorder_set_policy(struct recorder *r, const struct assay_policy *policy, const char *name,
			const struct assay_digest *digest, struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&r->lock);
	if (r->owed > 0)
		wait_for_room(r);
	if (r->core)
		rc = assay_core_set_policy(r->core, policy, err);
	else
		rc = assay_err_set(err, -EIO, "there is no segment to write to");
	if (rc == 0) {
		r->policy = policy;
		r->policy_digest = *digest;
		assay_fmt(r->policy_name, sizeof(r->policy_name), "%s", name);
		rc = recorder_state_policy(r, err);
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* ---- what can be asked ------------------------------------------------------------------------
 */

void recorder_gathered(struct recorder *r)
{
	pthread_mutex_lock(&r->lock);
	pthread_cond_signal(&r->gathered);
	pthread_mutex_unlock(&r->lock);
}

int recorder_await(struct recorder *r, uint64_t upto, uint32_t timeout_ms)
{
	struct timespec until = assay_clock_at(assay_clock_ns() + timeout_ms * 1000000ull);
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (rc == 0 && r->upto < upto && !r->ended)
		rc = -pthread_cond_timedwait(&r->progress, &r->lock, &until);
	if (rc == 0 && r->upto < upto)
		rc = -ETIMEDOUT;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int recorder_flush(struct recorder *r, uint32_t timeout_ms)
{
	uint64_t upto;

	pthread_mutex_lock(&r->lock);
	upto = records_so_far(r);
	pthread_mutex_unlock(&r->lock);
	return recorder_await(r, upto, timeout_ms);
}

void recorder_counts(struct recorder *r, struct recorder_counts *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->counts;
	ret->records = records_so_far(r);
	ret->violations = r->core ? assay_core_violations(r->core) : 0;
	ret->anchored = r->upto;
	ret->list_bytes = assay_list_file_records(r->list).len;
	pthread_mutex_unlock(&r->lock);
}
