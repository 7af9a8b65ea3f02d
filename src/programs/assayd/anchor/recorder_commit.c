/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The anchor thread. The list is its queue: a replay walks over the records as they are written,
 * and every step that the PCRs do not have yet is extended, one at a time. What it extends has been
 * read back from the list and checked.
 */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"

#define CHECK_MS	 10000u
#define SUSPENDED_MIN_NS 500000000u /* clocks differ by less without a suspend */
#define RETRY_FIRST_MS	 10u	    /* after "not now" */
#define RETRY_MAX_MS	 1000u
#define LOST_FIRST_MS	 100u /* after an unknown outcome, or with no TPM there */
#define LOST_MAX_MS	 10000u
#define GATHER_SHARE	 5u /* of an extend: the pause that it is worth */
#define GATHER_PAUSES	 4u /* that it is worth at most */
#define LAST_ROUNDS	 2u

/* The clock that stops in a suspend is read first: the other way round the difference may be
 * negative, which is a very long sleep. */
uint64_t recorder_suspended_ns(void)
{
	uint64_t awake = assay_clock_ns();

	return assay_clock_read(CLOCK_BOOTTIME) - awake;
}

/* Waits on @c (with the lock) until it is signalled, or the time @at. */
static void wait_on(struct recorder *r, pthread_cond_t *c, uint64_t at)
{
	struct timespec until = assay_clock_at(at);

	pthread_cond_timedwait(c, &r->lock, &until);
}

/* A pause that only the end of the recorder cuts short. */
static void pause_ms(struct recorder *r, uint32_t ms)
{
	uint64_t until = assay_clock_ns() + ms * 1000000ull;

	pthread_mutex_lock(&r->lock);
	while (!r->ending && assay_clock_ns() < until)
		wait_on(r, &r->work, until);
	pthread_mutex_unlock(&r->lock);
}

/* Records of this segment below the result are in the PCRs. */
static uint64_t anchored_in_segment(const struct recorder *r)
{
	uint64_t first, upto = assay_replay_records(r->replay);

	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		if (assay_replay_pending_pcr(r->replay, p, &first) > 0 && first < upto)
			upto = first;
	return upto;
}

/* The cursor must not stand behind a step that was not extended. */
void recorder_publish(struct recorder *r)
{
	uint64_t in_segment = anchored_in_segment(r), upto;
	bool moved = false;

	pthread_mutex_lock(&r->lock);
	if (in_segment >= r->carry_until && r->index_base + in_segment > r->upto) {
		r->upto = r->index_base + in_segment;
		r->announced_upto = assay_replay_announced(r->replay);
		r->expected_n = r->gathered_n + r->covered_n;
		moved = true;
		pthread_cond_broadcast(&r->progress);
	}
	upto = r->upto;
	pthread_mutex_unlock(&r->lock);
	if (moved && r->config.anchored)
		r->config.anchored(r->config.ctx, upto, false);
}

static int sync_upto(struct recorder *r, uint64_t bytes, struct assay_err *err)
{
	uint64_t written = assay_list_file_records(r->list).len;
	int rc;

	if (r->config.sync == LIST_SYNC_NEVER || bytes <= r->synced)
		return 0;
	rc = assay_list_file_sync(r->list);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot sync the list: %s; nothing is extended",
				     strerror(-rc));
	r->synced = written;
	return 0;
}

static bool must_end(struct recorder *r)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stop;
}

static void fill_released(void *ctx, struct assay_wr *w)
{
	const struct recorder *r = ctx;

	assay_state_add(w, "why", assay_bytes_str("tpm-lost"));
	assay_state_add_u64(w, "from", r->upto);
}

static void set_lost(struct recorder *r, bool lost)
{
	uint64_t upto = 0;
	bool release = false;

	pthread_mutex_lock(&r->lock);
	r->counts.tpm_lost = lost;
	if (!lost) {
		r->released = false;
	} else if (r->config.on_tpm_loss == ON_STALL_RELEASE && !r->released && r->core) {
		release = recorder_state_locked(r, "released", fill_released, r, true, NULL,
						NULL) == 0;
		r->released = release;
		upto = r->index_base + assay_core_records(r->core);
	}
	pthread_mutex_unlock(&r->lock);
	if (release && r->config.anchored)
		r->config.anchored(r->config.ctx, upto, true);
}

/* One extend, again while the TPM says that it did not execute it. One that says so for long is as
 * good as lost to those who wait. */
static int extend(struct recorder *r, const struct assay_step *step, struct assay_err *err)
{
	const struct assay_anchor *a = &r->config.anchor;
	uint64_t start = assay_clock_ns();
	uint32_t delay = RETRY_FIRST_MS;
	int rc;

	while ((rc = a->ops->extend(a->ctx, step->pcr, &step->digests, err)) == -EAGAIN) {
		pause_ms(r, delay);
		if (delay < RETRY_MAX_MS)
			delay *= 2;
		else if (must_end(r))
			break;
		else
			set_lost(r, true);
	}
	if (rc == 0 && delay >= RETRY_MAX_MS)
		set_lost(r, false);
	pthread_mutex_lock(&r->lock);
	r->counts.extends += rc == 0;
	r->last_extend_ns = assay_clock_ns() - start;
	r->counts.extend_ns += r->last_extend_ns;
	r->counts.last_extend_ns = r->last_extend_ns;
	pthread_mutex_unlock(&r->lock);
	return rc;
}

/* *ret_merged: it was not, as the place may be another. */
static int take_step(struct recorder *r, const struct assay_step *step, uint64_t end,
		     bool *ret_merged, struct assay_err *err)
{
	int rc = 0;

	if (step->kernel)
		return 0;
	if (recorder_has_anchor(r) && r->seen[step->pcr] >= r->have[step->pcr]) {
		rc = recorder_look_again(r, ret_merged, err);
		if (rc < 0 || *ret_merged)
			return rc;
		rc = sync_upto(r, end, err);
		if (rc == 0)
			rc = extend(r, step, err);
		if (rc == 0) {
			r->have[step->pcr]++;
			r->placed = false;
		}
	}
	if (rc == 0)
		r->seen[step->pcr]++;
	return rc;
}

/* Before each step the kernel's records are looked for: at most one of ours can then be among them.
 * In mode "group" nothing but batch and mode records, which have a template of their own, can be a
 * step. *ret_merged: the list has grown and the place may be another. */
static int check_between(struct recorder *r, const struct assay_record *record, bool *ret_merged,
			 struct assay_err *err)
{
	uint64_t places = r->places;
	int rc = 0;

	*ret_merged = false;
	if (assay_replay_mode(r->replay) != ASSAY_LIST_EACH &&
	    !assay_bytes_is(record->template_name, "ima-buf"))
		return 0;
	if (!recorder_has_anchor(r) || r->cursor < r->check_from || !recorder_kernel_moved(r))
		return 0;
	rc = recorder_check(r, false, err);
	*ret_merged = r->places != places;
	return rc;
}

/* Takes the records from the cursor on; stops at the first step that cannot be extended. The
 * replay is then ahead of the PCR: only recorder_place() can go on. */
static int advance(struct recorder *r, struct assay_err *err)
{
	static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
	struct assay_bytes all = assay_list_file_records(r->list);
	struct assay_rd in =
		assay_rd(assay_bytes(all.data + r->cursor, all.len - (size_t)r->cursor));
	struct assay_record record;
	struct assay_step step;
	bool is_step;
	int rc = 0;

	while (rc == 0 && !assay_rd_end(&in)) {
		bool merged = false;

		rc = assay_record_parse(&in, &form, &record, err);
		if (rc == 0)
			rc = check_between(r, &record, &merged, err);
		if (rc == 0 && !merged)
			rc = assay_replay_record(r->replay, &record, r->cursor, &is_step, &step,
						 err);
		if (rc == 0 && !merged)
			r->taken = r->cursor + record.size;
		if (rc == 0 && !merged && is_step)
			rc = take_step(r, &step, r->cursor + record.size, &merged, err);
		if (rc < 0 || merged)
			return rc;
		r->cursor += record.size;
		if (is_step)
			recorder_publish(r);
	}
	return rc;
}

/* Batch records for all that waits. */
static int commit(struct recorder *r, struct assay_err *err)
{
	uint32_t pending;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	pending = r->core ? assay_core_pending(r->core) : 0;
	r->covered_n = r->gathered_n;
	r->gathered_n = 0;
	for (uint32_t p = 0; rc == 0 && p < ASSAY_PCRS; p++) {
		if (!(pending & 1u << p))
			continue;
		rc = assay_core_commit(r->core, p, NULL, err);
		r->counts.batches += rc == 0;
	}
	if (rc == 0 && r->core)
		rc = recorder_set_mode(r, err);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

static bool has_slept(const struct recorder *r)
{
	return recorder_suspended_ns() > r->suspended_ns + SUSPENDED_MIN_NS;
}

static bool check_due(const struct recorder *r)
{
	uint32_t ms = r->config.check_ms ? r->config.check_ms : CHECK_MS;

	return has_slept(r) || assay_clock_ns() - r->last_check_ns > ms * 1000000ull ||
	       recorder_kernel_moved(r);
}

/* One round: everything that is written when it begins is anchored when it ends. */
static int round_of_commit(struct recorder *r, struct assay_err *err)
{
	int rc = 0;

	if (r->carried.unfinished || r->displaced || (recorder_has_anchor(r) && check_due(r)))
		rc = recorder_check(r, false, err);
	if (rc == 0)
		rc = commit(r, err);
	if (rc == 0)
		rc = advance(r, err);
	return rc;
}

static void fail_job(struct recorder *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->job && !r->job->done) {
		r->job->rc = assay_err_set(r->job->err, -ENODEV, "the TPM does not answer");
		r->job->done = true;
		pthread_cond_broadcast(&r->progress);
	}
	pthread_mutex_unlock(&r->lock);
}

/* A recorder that comes to its end asks no TPM again that has let a command run out of time, and
 * none that was found lost. */
static bool gives_up(struct recorder *r, int rc, uint32_t delay)
{
	bool ending;

	pthread_mutex_lock(&r->lock);
	ending = r->ending;
	pthread_mutex_unlock(&r->lock);
	return ending && (rc == -ETIMEDOUT || delay > LOST_FIRST_MS);
}

/* After an unknown outcome: until the TPM answers again and the place is known. A stopping
 * recorder tries once more and gives up. */
static int find_place_again(struct recorder *r, const struct assay_err *cause, bool again)
{
	struct assay_err err = { 0 };
	uint32_t delay = LOST_FIRST_MS;
	int rc;

	if (gives_up(r, cause->code, 0))
		return cause->code;
	if (!again)
		recorder_log(r, LOG_WARNING, "the list cannot go on: %s", cause->text);
	while ((rc = recorder_place(r, true, again ? NULL : cause->text, &err)) < 0) {
		bool stop = must_end(r) || gives_up(r, rc, delay);

		set_lost(r, true);
		fail_job(r);
		if (delay == LOST_FIRST_MS || delay >= LOST_MAX_MS)
			recorder_log(r, LOG_ERR, "the list still waits: %s", err.text);
		if (stop)
			return rc;
		pause_ms(r, delay);
		if (gives_up(r, rc, delay))
			return rc;
		if (delay < LOST_MAX_MS)
			delay *= 2;
	}
	if (!again)
		set_lost(r, false);
	return 0;
}

static void run_job(struct recorder *r)
{
	struct recorder_job *job;
	int rc;

	pthread_mutex_lock(&r->lock);
	job = r->job && !r->job->done ? r->job : NULL;
	pthread_mutex_unlock(&r->lock);
	if (!job)
		return;
	rc = job->run(r, job->arg, job->err);
	pthread_mutex_lock(&r->lock);
	job->rc = rc;
	job->done = true;
	pthread_cond_broadcast(&r->progress);
	pthread_mutex_unlock(&r->lock);
}

/* With the lock: something is written that the walk has not taken, or waits for its batch, for a
 * segment, or for the place. */
static bool has_work(const struct recorder *r)
{
	return assay_list_file_records(r->list).len > r->cursor || r->carried.unfinished ||
	       r->displaced || (r->core && assay_core_pending(r->core));
}

/* With the lock. Behind what the end waits for nothing comes but announcements of the kernel's
 * records, one for each that is extended while the kernel does not rest: what a run leaves, the
 * next start finds and extends, as after a kill. So they get a few rounds, if the kernel rests. */
static bool is_at_end(struct recorder *r)
{
	if (!r->stopping || r->carried.unfinished || r->upto < r->stop_upto)
		return false;
	return r->last_rounds++ >= LAST_ROUNDS || recorder_kernel_moved(r);
}

enum next { NEXT_JOB, NEXT_ROUND, NEXT_END };

/* Sleeps until there is something to do. The end comes when all is done. */
static enum next wait_for_work(struct recorder *r)
{
	enum next next;

	pthread_mutex_lock(&r->lock);
	while (!has_work(r) && !r->stopping && !(r->job && !r->job->done))
		pthread_cond_wait(&r->work, &r->lock);
	if (has_work(r) && !is_at_end(r))
		next = NEXT_ROUND;
	else
		next = r->job && !r->job->done ? NEXT_JOB : NEXT_END;
	pthread_mutex_unlock(&r->lock);
	return next;
}

/* What to do after a round; false: give up. A round that fails again, though the place is known, is
 * not tried again at once. */
static bool after_round(struct recorder *r, int rc, const struct assay_err *err, uint32_t *fails)
{
	if (rc == 0) {
		if (*fails > 0)
			set_lost(r, false);
		*fails = 0;
		return true;
	}
	if (find_place_again(r, err, *fails > 0) < 0)
		return false;
	if (*fails > 0) {
		set_lost(r, true);
		fail_job(r);
		if (must_end(r) && *fails > 2)
			return false;
		pause_ms(r, *fails < 7 ? LOST_FIRST_MS << *fails : LOST_MAX_MS);
	}
	++*fails;
	return true;
}

/* How long others are waited for: a slow TPM is worth more, as who comes too late waits for two of
 * its extends. */
static uint64_t longest_pause(const struct recorder *r, uint64_t pause_ns)
{
	uint64_t worth = r->last_extend_ns / GATHER_SHARE;

	if (worth > GATHER_PAUSES * pause_ns)
		worth = GATHER_PAUSES * pause_ns;
	return worth > pause_ns ? worth : pause_ns;
}

/* Until all who are on their way have arrived: a lone opener waits for nobody. Where the pause is
 * cheaper than an extend, also until as many have come as the last one released: those come back
 * together. */
static bool worth_waiting(const struct recorder *r, uint64_t pause_ns)
{
	bool slow = r->last_extend_ns > pause_ns;

	return (slow && r->gathered_n < r->expected_n) ||
	       (r->config.more_coming ? r->config.more_coming(r->config.ctx) : !slow);
}

static void gather(struct recorder *r)
{
	uint64_t ns = r->config.mode == ANCHOR_EACH ? 0 : r->config.gather_us * 1000ull;
	uint64_t until;

	if (ns == 0)
		return;
	pthread_mutex_lock(&r->lock);
	until = assay_clock_ns() + longest_pause(r, ns);
	while (!r->ending && assay_clock_ns() < until && worth_waiting(r, ns))
		wait_on(r, &r->gathered, until);
	pthread_mutex_unlock(&r->lock);
}

void *recorder_anchor_thread(void *arg)
{
	struct recorder *r = arg;
	uint32_t fails = 0;

	for (;;) {
		struct assay_err err = { 0 };
		enum next next = wait_for_work(r);

		if (next == NEXT_END)
			break;
		run_job(r);
		if (next == NEXT_JOB)
			continue;
		gather(r);
		if (!after_round(r, round_of_commit(r, &err), &err, &fails))
			break;
	}
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_cond_broadcast(&r->progress);
	pthread_mutex_unlock(&r->lock);
	fail_job(r);
	return NULL;
}
