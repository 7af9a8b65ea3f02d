/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TPM without a resource manager keeps what a killed process had loaded, three objects and three
 * sessions at most. When it says that it is full, and only then, what is loaded is thrown out: one
 * process owns the TPM (DESIGN), so it is nobody's. Behind a resource manager only our own would be
 * seen here, and there is none of it when this is called.
 */
#include <errno.h>
#include <tss2/tss2_sys.h>

#include "backends/anchor_tpm2/private.h"

#define HANDLES_MAX 32u

static TSS2_RC finish_capability(ESYS_CONTEXT *esys, void *out)
{
	TPMI_YES_NO more;

	return Esys_GetCapability_Finish(esys, &more, out);
}

/* ESYS flushes only what it has loaded itself, so this goes one layer below it. */
static TSS2_RC flush_handle(struct assay_anchor_tpm2 *a, TPM2_HANDLE handle)
{
	TSS2_SYS_CONTEXT *sys = NULL;
	TSS2_RC rc = Esys_GetSysContext(a->esys, &sys);

	if (rc == TSS2_RC_SUCCESS)
		rc = Tss2_Sys_FlushContext_Prepare(sys, handle);
	if (rc == TSS2_RC_SUCCESS)
		rc = Tss2_Sys_ExecuteAsync(sys);
	if (rc == TSS2_RC_SUCCESS)
		rc = Tss2_Sys_ExecuteFinish(sys, (int32_t)a->timeout_ms);
	return rc;
}

int assay_tpm2_sweep(struct assay_anchor_tpm2 *a, TPM2_HANDLE first, struct assay_err *err)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_RC sent = Esys_GetCapability_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
						TPM2_CAP_HANDLES, first, HANDLES_MAX);
	int r = assay_tpm2_call(a, "TPM2_GetCapability", sent, finish_capability, &data, err);

	for (uint32_t i = 0; r == 0 && i < data->data.handles.count; i++) {
		TSS2_RC rc = flush_handle(a, data->data.handles.handle[i]);

		if (rc != TSS2_RC_SUCCESS)
			r = assay_tpm2_error(a, "TPM2_FlushContext", rc, err);
	}
	Esys_Free(data);
	a->full = false;
	return r;
}
