/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What whoever answers on the control socket may say to the command line. PCRs and quotes that are
 * accepted, written again, are the same ones. */
#include <stdlib.h>
#include <string.h>

#include "programs/common/control_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct parsed {
	struct assay_quote_reply quote;
	struct assay_quote_pcrs pcrs;
};

static bool parse(const json_t *reply, bool is_quote, struct parsed *ret)
{
	struct assay_err err = { 0 };
	int r;

	memset(ret, 0, sizeof(*ret)); /* compared whole */
	r = is_quote ? control_quote_parse(reply, &ret->quote, &ret->pcrs, &err)
		     : control_pcrs_parse(reply, &ret->pcrs, &err);
	if (r != 0 && r != err.code)
		abort();
	return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct assay_tpm_clock clock = { 0 };
	json_t *reply = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL), *again;
	static struct parsed first, second;

	for (int is_quote = 0; reply && is_quote <= 1; is_quote++) {
		if (!parse(reply, is_quote, &first))
			continue;
		again = is_quote ? control_quote_pack(&first.quote, &first.pcrs)
				 : control_pcrs_pack(&first.pcrs, &clock);
		if (!again || !parse(again, is_quote, &second) ||
		    memcmp(&first, &second, sizeof(first)) != 0)
			abort();
		json_decref(again);
	}
	json_decref(reply);
	return 0;
}
