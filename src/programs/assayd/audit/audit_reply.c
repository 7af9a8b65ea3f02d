/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_reply.h"

#include "programs/common/control_msg.h"

#define REPLY_MAX (CONTROL_MESSAGE_MAX - 512) /* without what stands around the records */

json_t *audit_reply(struct audit *a, uint64_t after)
{
	static char line[ASSAY_AUDIT_LINE_MAX]; /* one thread */
	uint64_t cursor = after ? after + 1 : 0, missed = 0;
	json_t *records = json_array();
	size_t used = 0, len;

	while (records && used < REPLY_MAX) {
		size_t room = REPLY_MAX - used;

		len = audit_read(a, &cursor, &missed, line,
				 room < sizeof(line) ? room : sizeof(line));
		if (!len || json_array_append_new(records, json_loadb(line, len, 0, NULL)) < 0)
			break;
		used += len + 1;
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "run", (json_int_t)audit_run(a), "after",
			 (json_int_t)(cursor ? cursor - 1 : 0), "missed", (json_int_t)missed,
			 "records", records);
}

json_t *audit_status(struct audit *a)
{
	json_t *status;
	struct audit_counts n;

	audit_counts(a, &n);
	status = json_pack("{s:I, s:I}", "records", (json_int_t)n.records, "limited",
			   (json_int_t)n.limited);
	for (unsigned i = 0; status && i < AUDIT_SINK_COUNT; i++)
		json_object_set_new(status, audit_sink_name((enum audit_sink_kind)i),
				    json_pack("{s:I, s:I}", "sent", (json_int_t)n.sent[i], "lost",
					      (json_int_t)n.lost[i]));
	return status;
}
