/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What any user may say to assayd. A request that is accepted, written again, is the same one. */
#include <stdlib.h>
#include <string.h>

#include "programs/common/control_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct control_request request, again;
	static char text[CONTROL_MESSAGE_MAX];
	json_t *message;
	size_t len;

	memset(&request, 0, sizeof(request)); /* compared whole */
	memset(&again, 0, sizeof(again));
	if (control_request_read(assay_bytes(data, size), &request, NULL) < 0)
		return 0;
	message = control_request_pack(&request);
	len = message ? json_dumpb(message, text, sizeof(text), JSON_COMPACT) : 0;
	json_decref(message);
	if (len == 0 || len > sizeof(text) ||
	    control_request_read(assay_bytes(text, len), &again, NULL) < 0 ||
	    memcmp(&request, &again, sizeof(again)) != 0)
		abort();
	return 0;
}
