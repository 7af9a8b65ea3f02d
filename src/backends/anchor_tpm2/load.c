/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The TCTI loader knows no time-out, and TCTIs talk while they are loaded (a device is probed, a
 * D-Bus service started). So a thread loads; if that takes too long the caller goes on without it,
 * and the next attempt waits for the same thread: never more than one of them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "backends/anchor_tpm2/private.h"
#include "base/clock.h"

/* Shared by the thread and the anchor; the last to let go frees. */
struct tpm2_load {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t done_cond;
	bool done, abandoned;
	TSS2_RC rc;
	TSS2_TCTI_CONTEXT *tcti;
	char *name; /* constant */
};

static void load_free(struct tpm2_load *l)
{
	if (!l)
		return;
	Tss2_TctiLdr_Finalize(&l->tcti);
	pthread_cond_destroy(&l->done_cond);
	pthread_mutex_destroy(&l->lock);
	free(l->name);
	free(l);
}

static void *load_run(void *arg)
{
	struct tpm2_load *l = arg;
	TSS2_TCTI_CONTEXT *tcti = NULL;
	TSS2_RC rc = Tss2_TctiLdr_Initialize(l->name, &tcti);
	bool mine;

	pthread_mutex_lock(&l->lock);
	l->rc = rc;
	l->tcti = tcti;
	l->done = true;
	mine = l->abandoned;
	pthread_cond_signal(&l->done_cond);
	pthread_mutex_unlock(&l->lock);
	if (mine)
		load_free(l);
	return NULL;
}

static struct tpm2_load *load_new(const char *name)
{
	struct tpm2_load *l = calloc(1, sizeof(*l));
	pthread_condattr_t monotonic;

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->done_cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (!name)
		return l;
	l->name = strdup(name);
	if (l->name)
		return l;
	load_free(l);
	return NULL;
}

static int load_start(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	struct tpm2_load *l = load_new(a->tcti_name);
	pthread_attr_t detached;
	pthread_t thread;
	int r;

	if (!l)
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &detached, load_run, l);
	pthread_attr_destroy(&detached);
	if (r != 0) {
		load_free(l);
		return assay_err_set(err, -r, "cannot start a thread to connect to the TPM");
	}
	a->loading = l;
	return 0;
}

/* False: not within @timeout_ms. */
static bool load_wait(struct tpm2_load *l, uint32_t timeout_ms)
{
	struct timespec until = assay_clock_at(assay_clock_ns() + timeout_ms * 1000000ull);
	bool done;

	pthread_mutex_lock(&l->lock);
	while (!l->done && pthread_cond_timedwait(&l->done_cond, &l->lock, &until) == 0)
		;
	done = l->done;
	pthread_mutex_unlock(&l->lock);
	return done;
}

const char *assay_tpm2_where(const struct assay_anchor_tpm2 *a)
{
	return a->tcti_name ? a->tcti_name : "tpm2-tss's default";
}

static int load_failed(const struct assay_anchor_tpm2 *a, const char *why, struct assay_err *err)
{
	if (!a->tcti_name)
		return assay_err_set(err, -ENODEV,
				     "no TCTI was named, and none that tpm2-tss tries by itself, "
				     "/dev/tpmrm0 first, leads to a TPM: %s",
				     why);
	return assay_err_set(err, -ENODEV, "cannot reach a TPM at '%s': %s", a->tcti_name, why);
}

static int load_by_tss(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	struct tpm2_load *l;
	TSS2_RC rc;
	int r = a->loading ? 0 : load_start(a, err);

	if (r < 0)
		return r;
	if (!load_wait(a->loading, a->timeout_ms))
		return assay_err_set(err, -ETIMEDOUT,
				     "the TPM at '%s' did not let us connect within %u ms",
				     assay_tpm2_where(a), a->timeout_ms);
	l = TAKE(a->loading);
	rc = l->rc;
	a->tcti = TAKE(l->tcti);
	load_free(l);
	return rc == TSS2_RC_SUCCESS ? 0 : load_failed(a, Tss2_RC_Decode(rc), err);
}

int assay_tpm2_load(struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	int r;

	if (!assay_tpm2_socket_is(a->tcti_name))
		return load_by_tss(a, err);
	r = assay_tpm2_socket_open(a->tcti_name, a->timeout_ms, &a->tcti);
	if (r == -EINVAL)
		return load_failed(a, "it takes path=PATH, or host=NAME and port=NUMBER", err);
	return r < 0 ? load_failed(a, strerror(-r), err) : 0;
}

void assay_tpm2_unload(struct assay_anchor_tpm2 *a)
{
	if (assay_tpm2_socket_is(a->tcti_name))
		assay_tpm2_socket_free(a->tcti);
	else
		Tss2_TctiLdr_Finalize(&a->tcti);
	a->tcti = NULL;
}

void assay_tpm2_load_abandon(struct assay_anchor_tpm2 *a)
{
	struct tpm2_load *l = TAKE(a->loading);
	bool mine;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->abandoned = true;
	mine = l->done;
	pthread_mutex_unlock(&l->lock);
	if (mine)
		load_free(l);
}
