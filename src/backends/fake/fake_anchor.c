/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See the header. Nothing here is meant to be fast, and nothing outside tests uses it. */
#include "backends/fake/fake_anchor.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct program {
	enum assay_fake_fault fault;
	uint32_t skip, times;
};

struct assay_fake_anchor {
	struct assay_crypto crypto; /* constant, as are the banks */
	struct assay_banks banks;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	struct assay_tpm_clock clock;
	struct assay_pcr_value pcr[ASSAY_PCRS];
	uint64_t extends[ASSAY_PCRS];
	struct program program[ASSAY_FAKE_OP_COUNT];
	uint32_t extend_us;
	bool lost, gone, blocked, released;
	bool late; /* an extend that is executed when the connection is renewed */
	uint32_t late_pcr;
	struct assay_pcr_value late_digests;
};

/* ---- the TPM -------------------------------------------------------------------------------- */

/* PCRs 17 to 22 begin as ones; PC Client Platform TPM Profile, 4.6.2. */
static void pcrs_begin(struct assay_fake_anchor *f)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		memset(&f->pcr[p], p >= 17 && p <= 22 ? 0xff : 0, sizeof(f->pcr[p]));
}

static void execute_extend(struct assay_fake_anchor *f, uint32_t pcr,
			   const struct assay_pcr_value *digests)
{
	for (uint32_t b = 0; b < f->banks.n; b++) {
		size_t n = assay_hash_size(f->banks.alg[b]);
		uint8_t both[2 * ASSAY_HASH_SIZE_MAX];

		memcpy(both, f->pcr[pcr].value[b], n);
		memcpy(both + n, digests->value[b], n);
		if (f->crypto.ops->hash(f->crypto.ctx, f->banks.alg[b], assay_bytes(both, 2 * n),
					f->pcr[pcr].value[b]) < 0)
			abort(); /* assay_fake_anchor_new() has asked */
	}
	f->extends[pcr]++;
	f->clock.clock++;
}

/* ---- faults --------------------------------------------------------------------------------- */

static enum assay_fake_fault next_fault(struct assay_fake_anchor *f, enum assay_fake_op op)
{
	struct program *p = &f->program[op];

	if (p->skip) {
		p->skip--;
		return ASSAY_FAKE_NONE;
	}
	if (!p->times)
		return ASSAY_FAKE_NONE;
	p->times--;
	return p->fault;
}

static void wait_release(struct assay_fake_anchor *f)
{
	f->blocked = true;
	pthread_cond_broadcast(&f->changed);
	while (!f->released)
		pthread_cond_wait(&f->changed, &f->lock);
	f->blocked = f->released = false;
	pthread_cond_broadcast(&f->changed);
}

static int lose(struct assay_fake_anchor *f, int code, struct assay_err *err)
{
	f->lost = true;
	return assay_err_set(err, code, "fake TPM: the connection was lost");
}

/* What @op does before it is executed: 0 go on, 1 execute and lose the connection with *@code. */
static int strike(struct assay_fake_anchor *f, enum assay_fake_op op, int *code,
		  struct assay_err *err)
{
	enum assay_fake_fault fault;

	if (f->gone || (f->lost && op != ASSAY_FAKE_REOPEN))
		return assay_err_set(err, f->gone ? -ENODEV : -EIO, "fake TPM: no connection");
	fault = next_fault(f, op);
	switch (fault) {
	case ASSAY_FAKE_AGAIN:
		return assay_err_set(err, -EAGAIN, "fake TPM: retry");
	case ASSAY_FAKE_LOCKOUT:
		return assay_err_set(err, -EPERM, "fake TPM: lockout");
	case ASSAY_FAKE_GONE:
		f->gone = true;
		return lose(f, -ENODEV, err);
	case ASSAY_FAKE_TIMEOUT_BEFORE:
		return lose(f, -ETIMEDOUT, err);
	case ASSAY_FAKE_IO_BEFORE:
		return lose(f, -EIO, err);
	case ASSAY_FAKE_TIMEOUT_LATE:
		f->late = op == ASSAY_FAKE_EXTEND;
		return lose(f, -ETIMEDOUT, err);
	case ASSAY_FAKE_TIMEOUT_AFTER:
	case ASSAY_FAKE_IO_AFTER:
		*code = fault == ASSAY_FAKE_IO_AFTER ? -EIO : -ETIMEDOUT;
		return 1;
	case ASSAY_FAKE_BLOCK:
		wait_release(f);
		return 0;
	default:
		return 0;
	}
}

/* ---- the port ------------------------------------------------------------------------------- */

static int reopen(void *ctx, struct assay_err *err)
{
	struct assay_fake_anchor *f = ctx;
	int code = 0, r;

	pthread_mutex_lock(&f->lock);
	r = strike(f, ASSAY_FAKE_REOPEN, &code, err);
	if (r == 1)
		r = lose(f, code, err);
	if (r == 0) {
		f->lost = false;
		if (f->late)
			execute_extend(f, f->late_pcr, &f->late_digests);
		f->late = false;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int banks(void *ctx, struct assay_banks *ret, struct assay_err *err)
{
	struct assay_fake_anchor *f = ctx;

	(void)err;
	*ret = f->banks;
	return 0;
}

static int read_pcrs(void *ctx, uint32_t pcr_mask, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *ret_clock, struct assay_err *err)
{
	struct assay_fake_anchor *f = ctx;
	int code = 0, r;

	pthread_mutex_lock(&f->lock);
	r = strike(f, ASSAY_FAKE_READ, &code, err);
	if (r == 1)
		r = lose(f, code, err);
	if (r == 0) {
		f->clock.clock++;
		*ret_clock = f->clock;
		for (uint32_t p = 0; p < ASSAY_PCRS; p++)
			if (pcr_mask & 1u << p)
				values[p] = f->pcr[p];
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* Outside the lock, as a real TPM is: a test looks at it meanwhile. */
static void take_time(struct assay_fake_anchor *f)
{
	struct timespec t;

	pthread_mutex_lock(&f->lock);
	t = (struct timespec){ .tv_sec = f->extend_us / 1000000,
			       .tv_nsec = (long)(f->extend_us % 1000000) * 1000 };
	pthread_mutex_unlock(&f->lock);
	if (t.tv_sec || t.tv_nsec)
		nanosleep(&t, NULL);
}

static int extend(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		  struct assay_err *err)
{
	struct assay_fake_anchor *f = ctx;
	int code = 0, r;

	if (pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EINVAL, "there is no PCR %u", pcr);
	take_time(f);
	pthread_mutex_lock(&f->lock);
	r = strike(f, ASSAY_FAKE_EXTEND, &code, err);
	if (f->late && r < 0) {
		f->late_pcr = pcr;
		f->late_digests = *digests;
	}
	if (r >= 0)
		execute_extend(f, pcr, digests);
	if (r == 1)
		r = lose(f, code, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* Not a quote: the values asked for, so that a test sees which moment was quoted. */
static int quote(void *ctx, const struct assay_quote_request *request,
		 struct assay_quote_reply *ret, struct assay_err *err)
{
	struct assay_fake_anchor *f = ctx;
	struct assay_quote_reply reply = { 0 };
	int code = 0, r;

	pthread_mutex_lock(&f->lock);
	r = strike(f, ASSAY_FAKE_QUOTE, &code, err);
	if (r == 1)
		r = lose(f, code, err);
	for (uint32_t p = 0; p < ASSAY_PCRS && r == 0; p++) {
		if (!(request->pcr_mask & 1u << p) ||
		    reply.attest_len + ASSAY_HASH_SIZE_MAX > sizeof(reply.attest))
			continue;
		memcpy(reply.attest + reply.attest_len, f->pcr[p].value[0], ASSAY_HASH_SIZE_MAX);
		reply.attest_len += ASSAY_HASH_SIZE_MAX;
	}
	if (r == 0)
		*ret = reply;
	pthread_mutex_unlock(&f->lock);
	return r;
}

static const struct assay_anchor_ops ops = {
	.kind = ASSAY_ANCHOR_TPM2, /* it stands in for one */
	.reopen = reopen,
	.banks = banks,
	.read = read_pcrs,
	.extend = extend,
	.quote = quote,
};

int assay_fake_anchor_new(const struct assay_crypto *crypto, const struct assay_banks *banks_,
			  struct assay_fake_anchor **ret)
{
	static const struct assay_banks usual = {
		.alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 },
		.n = 2,
	};
	struct assay_fake_anchor *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->crypto = *crypto;
	f->banks = banks_ ? *banks_ : usual;
	for (uint32_t b = 0; b < f->banks.n; b++) {
		if (crypto->ops->has_hash(crypto->ctx, f->banks.alg[b]))
			continue;
		free(f);
		return -EOPNOTSUPP;
	}
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->clock = (struct assay_tpm_clock){ .clock = 1000, .reset_count = 1, .safe = true };
	pcrs_begin(f);
	*ret = f;
	return 0;
}

void assay_fake_anchor_free(struct assay_fake_anchor *f)
{
	if (!f)
		return;
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct assay_anchor assay_fake_anchor_port(struct assay_fake_anchor *f)
{
	return (struct assay_anchor){ .ops = &ops, .ctx = f };
}

/* ---- the test's side ------------------------------------------------------------------------ */

void assay_fake_anchor_fault(struct assay_fake_anchor *f, enum assay_fake_op op,
			     enum assay_fake_fault fault, uint32_t skip, uint32_t times)
{
	pthread_mutex_lock(&f->lock);
	f->program[op] = (struct program){ .fault = fault, .skip = skip, .times = times };
	pthread_mutex_unlock(&f->lock);
}

void assay_fake_anchor_slow(struct assay_fake_anchor *f, uint32_t us)
{
	pthread_mutex_lock(&f->lock);
	f->extend_us = us;
	pthread_mutex_unlock(&f->lock);
}

void assay_fake_anchor_await_blocked(struct assay_fake_anchor *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->blocked)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void assay_fake_anchor_release(struct assay_fake_anchor *f)
{
	pthread_mutex_lock(&f->lock);
	f->released = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void assay_fake_anchor_back(struct assay_fake_anchor *f)
{
	pthread_mutex_lock(&f->lock);
	f->gone = false;
	pthread_mutex_unlock(&f->lock);
}

/* @resets, @restarts: what is added; a reset sets restartCount to 0 (part 2, 10.11.4). */
static void power(struct assay_fake_anchor *f, bool reset, bool keep_pcrs)
{
	pthread_mutex_lock(&f->lock);
	if (reset) {
		f->clock.reset_count++;
		f->clock.restart_count = 0;
	} else {
		f->clock.restart_count++;
	}
	if (!keep_pcrs)
		pcrs_begin(f);
	f->late = false; /* no command survives this */
	f->lost = true;
	pthread_mutex_unlock(&f->lock);
}

void assay_fake_anchor_reset(struct assay_fake_anchor *f)
{
	power(f, true, false);
}

void assay_fake_anchor_restart(struct assay_fake_anchor *f)
{
	power(f, false, false);
}

void assay_fake_anchor_resume(struct assay_fake_anchor *f)
{
	power(f, false, true);
}

void assay_fake_anchor_foreign(struct assay_fake_anchor *f, uint32_t pcr,
			       const struct assay_pcr_value *digests)
{
	pthread_mutex_lock(&f->lock);
	execute_extend(f, pcr, digests);
	pthread_mutex_unlock(&f->lock);
}

uint64_t assay_fake_anchor_extends(struct assay_fake_anchor *f, uint32_t pcr)
{
	uint64_t n;

	pthread_mutex_lock(&f->lock);
	n = f->extends[pcr];
	pthread_mutex_unlock(&f->lock);
	return n;
}

void assay_fake_anchor_pcr(struct assay_fake_anchor *f, uint32_t pcr, struct assay_pcr_value *ret)
{
	pthread_mutex_lock(&f->lock);
	*ret = f->pcr[pcr];
	pthread_mutex_unlock(&f->lock);
}
