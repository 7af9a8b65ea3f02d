/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts of /proc in which users choose the names: mounts, and who a task is. What is taken lies in
 * the text, and each line is looked at once. */
#include <stdlib.h>
#include <string.h>

#include "backends/audit_linux/subject.h"
#include "backends/source_fanotify/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct assay_bytes part, struct assay_bytes text)
{
	return part.len == 0 || (part.data >= text.data && part.len <= text.len &&
				 (size_t)(part.data - text.data) <= text.len - part.len);
}

static void check_mounts(struct assay_bytes text)
{
	struct assay_bytes left = text;
	static struct assay_mount m;
	unsigned skipped = 0, n = 0, lines = 1;

	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	while (assay_mountinfo_next(&left, &m, &skipped)) {
		if (!is_within(m.options, text) || !memchr(m.point, 0, sizeof(m.point)) ||
		    !memchr(m.type, 0, sizeof(m.type)) || !memchr(m.subtype, 0, sizeof(m.subtype)))
			abort();
		(void)assay_mount_layers_below(m.options, m.point);
		n++;
	}
	if (left.len || n + skipped > lines)
		abort();
}

static void check_subject(struct assay_bytes text)
{
	struct assay_audit r = { 0 };
	char tty[32];

	assay_audit_parse_status(text, &r);
	assay_audit_parse_stat(text, tty, &r);
	assay_audit_parse_cgroup(text, &r);
	for (int i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++)
		if (assay_audit_has(&r, (enum assay_audit_field)i) && i != ASSAY_AUDIT_TTY &&
		    assay_audit_field_kind((enum assay_audit_field)i) != ASSAY_AUDIT_KIND_NUMBER &&
		    !is_within(r.value[i].text, text))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_mounts(assay_bytes(data, size));
	check_subject(assay_bytes(data, size));
	return 0;
}
