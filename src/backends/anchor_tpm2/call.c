/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One TPM command with a deadline, and what its response code means to the caller.
 * ESYS sends a command again by itself after RETRY, YIELDED and TESTING, a few times: they say that
 * it was not executed, so this is not a blind repetition. "Try again" is what it says when the TCTI
 * waited for as long as it was told to, and after such a sending.
 */
#include <errno.h>
#include <string.h>
#include <tss2/tss2_rc.h>

#include "backends/anchor_tpm2/private.h"
#include "base/clock.h"

static TSS2_RC base_of(TSS2_RC rc)
{
	return rc & ~(TSS2_RC)TSS2_RC_LAYER_MASK;
}

static TSS2_RC layer_of(TSS2_RC rc)
{
	return rc & TSS2_RC_LAYER_MASK;
}

/* Whether the TPM itself said so, perhaps through a resource manager. */
static bool from_tpm(TSS2_RC rc)
{
	TSS2_RC layer = layer_of(rc);

	return layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER;
}

static int class_of_warning(TSS2_RC rc)
{
	switch (rc) {
	case TPM2_RC_RETRY:
	case TPM2_RC_YIELDED:
	case TPM2_RC_TESTING:
	case TPM2_RC_CANCELED:
	case TPM2_RC_NV_RATE:
	case TPM2_RC_NV_UNAVAILABLE:
	case TPM2_RC_OBJECT_MEMORY:
	case TPM2_RC_OBJECT_HANDLES:
	case TPM2_RC_SESSION_MEMORY:
	case TPM2_RC_SESSION_HANDLES:
		return -EAGAIN;
	case TPM2_RC_LOCKOUT:
	case TPM2_RC_LOCALITY:
		return -EPERM;
	case TPM2_RC_INITIALIZE: /* it was reset and nobody started it */
		return -ENODEV;
	default:
		return -EIO;
	}
}

/* Format-1 codes carry the number of the handle, session or parameter: not part of the meaning. */
static int class_of_tpm(TSS2_RC rc)
{
	if (!(rc & TPM2_RC_FMT1))
		return class_of_warning(rc);
	switch (rc & (TPM2_RC_FMT1 | 0x3f)) {
	case TPM2_RC_AUTH_FAIL:
	case TPM2_RC_BAD_AUTH:
	case TPM2_RC_AUTH_UNAVAILABLE &(TPM2_RC_FMT1 | 0x3f):
	case TPM2_RC_POLICY_FAIL:
		return -EPERM;
	default:
		return -EIO;
	}
}

static int class_of(TSS2_RC rc)
{
	if (from_tpm(rc))
		return class_of_tpm(base_of(rc));
	switch (base_of(rc)) {
	case TSS2_BASE_RC_NO_CONNECTION:
		return -ENODEV;
	case TSS2_BASE_RC_TRY_AGAIN:
		return -ETIMEDOUT;
	case TSS2_BASE_RC_MEMORY:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static bool is_full(TSS2_RC rc)
{
	rc = base_of(rc);
	return rc == TPM2_RC_OBJECT_MEMORY || rc == TPM2_RC_OBJECT_HANDLES ||
	       rc == TPM2_RC_SESSION_MEMORY || rc == TPM2_RC_SESSION_HANDLES;
}

/* After these a reply may come that nobody waits for, or it is not known what was executed. */
static bool loses_connection(TSS2_RC rc, int class)
{
	return !from_tpm(rc) || class == -ENODEV;
}

int assay_tpm2_error(struct assay_anchor_tpm2 *a, const char *name, TSS2_RC rc,
		     struct assay_err *err)
{
	int class = class_of(rc);

	if (loses_connection(rc, class))
		a->lost = true;
	if (from_tpm(rc) && is_full(rc))
		a->full = true;
	if (class == -ETIMEDOUT)
		return assay_err_set(err, class, "%s: the TPM did not answer within %u ms", name,
				     a->timeout_ms);
	if (from_tpm(rc) && base_of(rc) == TPM2_RC_INITIALIZE)
		return assay_err_set(err, class,
				     "%s: the TPM was not started (TPM2_Startup) since "
				     "its last reset",
				     name);
	return assay_err_set(err, class, "%s: %s (0x%x)", name, Tss2_RC_Decode(rc), (unsigned)rc);
}

int assay_tpm2_ready(const struct assay_anchor_tpm2 *a, struct assay_err *err)
{
	if (a->esys && !a->lost)
		return 0;
	return assay_err_set(err, -ENODEV, "the connection to the TPM was lost");
}

int assay_tpm2_call(struct assay_anchor_tpm2 *a, const char *name, TSS2_RC sent,
		    tpm2_finish *finish, void *out, struct assay_err *err)
{
	uint64_t now = assay_clock_ms(), deadline = now + a->timeout_ms;
	TSS2_RC rc = sent;

	if (rc != TSS2_RC_SUCCESS)
		return assay_tpm2_error(a, name, rc, err);
	do {
		if (now >= deadline)
			return assay_tpm2_error(a, name, TSS2_ESYS_RC_TRY_AGAIN, err);
		Esys_SetTimeout(a->esys, (int32_t)(deadline - now));
		rc = finish(a->esys, out);
		now = assay_clock_ms();
	} while (!from_tpm(rc) && base_of(rc) == TSS2_BASE_RC_TRY_AGAIN);
	return rc == TSS2_RC_SUCCESS ? 0 : assay_tpm2_error(a, name, rc, err);
}
