/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a TPM says of itself, for people. */
#include "backends/anchor_tpm2/private.h"

#define PROPERTIES_MAX 32u

static TSS2_RC finish_capability(ESYS_CONTEXT *esys, void *out)
{
	TPMI_YES_NO more;

	return Esys_GetCapability_Finish(esys, &more, out);
}

static void take_property(const TPMS_TAGGED_PROPERTY *p, struct assay_tpm_info *info)
{
	switch (p->property) {
	case TPM2_PT_REVISION:
		info->spec_revision = p->value;
		break;
	case TPM2_PT_MANUFACTURER:
		for (int i = 0; i < 4; i++) {
			char c = (char)(p->value >> (24 - 8 * i));

			info->manufacturer[i] = c == '\0' || (c >= 0x20 && c < 0x7f) ? c : '?';
		}
		break;
	case TPM2_PT_FIRMWARE_VERSION_1:
		info->firmware[0] = p->value;
		break;
	case TPM2_PT_FIRMWARE_VERSION_2:
		info->firmware[1] = p->value;
		break;
	default:
		break;
	}
}

int assay_anchor_tpm2_info(struct assay_anchor_tpm2 *a, struct assay_tpm_info *ret,
			   struct assay_err *err)
{
	struct assay_tpm_info info = { .banks = a->banks };
	TPMS_CAPABILITY_DATA *data = NULL;
	int r = assay_tpm2_ready(a, err);

	if (r == 0)
		r = assay_tpm2_call(a, "TPM2_GetCapability",
				    Esys_GetCapability_Async(a->esys, ESYS_TR_NONE, ESYS_TR_NONE,
							     ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES,
							     TPM2_PT_FIXED, PROPERTIES_MAX),
				    finish_capability, &data, err);
	for (uint32_t i = 0; r == 0 && i < data->data.tpmProperties.count; i++)
		take_property(&data->data.tpmProperties.tpmProperty[i], &info);
	Esys_Free(data);
	if (r == 0)
		r = assay_tpm2_clock(a, &info.clock, err);
	if (r == 0)
		*ret = info;
	return r;
}
