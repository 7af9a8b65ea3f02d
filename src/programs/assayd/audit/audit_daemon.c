/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_daemon.h"

#include <string.h>

int audit_open(struct daemon *d, struct assay_err *err)
{
	struct audit_config config = {
		.rate = d->conf.audit_rate,
		.journal = d->conf.audit_journal,
		.kernel_log = d->conf.audit_kernel_log == ASSAY_CONF_AUDIT_AUTO,
	};

	if (strcmp(config.journal, "none") == 0)
		config.journal = NULL;
	return audit_start(&config, &d->audit, err);
}

/* As ima_release_policy() has it. */
void audit_policy(struct daemon *d, const char *name, int r)
{
	struct assay_audit record;

	audit_begin(d->audit, "policy_update", r == 0 ? "completed" : "failed", r == 0, &record);
	assay_audit_set_text(&record, ASSAY_AUDIT_NAME, assay_bytes_str(name));
	assay_audit_set_number(&record, ASSAY_AUDIT_ERRNO, r < 0 ? (uint64_t)-r : 0);
	audit_put(d->audit, &record);
}

void audit_late(struct daemon *d, const struct ledger_entry *late)
{
	static const char *const causes[LEDGER_WHY_COUNT] = {
		[LEDGER_DEADLINE] = "deadline_ms",
		[LEDGER_STOP] = "stop",
		[LEDGER_FULL] = "full",
		[LEDGER_WORKER] = "worker",
		[LEDGER_TOO_LARGE] = "too_large",
	};
	struct assay_audit r;

	audit_begin(d->audit, "deadline", causes[late->why], late->allowed, &r);
	assay_audit_set_number(&r, ASSAY_AUDIT_WAITED_MS, late->waited_ms);
	assay_audit_set_text(&r, ASSAY_AUDIT_NAME, assay_bytes_str(late->path));
	audit_put(d->audit, &r);
}

void audit_late_count(struct daemon *d, bool allowed, uint64_t n)
{
	struct assay_audit r;

	audit_begin(d->audit, "deadline", "unnamed", allowed, &r);
	assay_audit_set_number(&r, ASSAY_AUDIT_COUNT, n);
	audit_put(d->audit, &r);
}

void audit_uncovered(struct daemon *d, const struct mounts_uncovered *what)
{
	char cause[sizeof(what->reason)];
	struct assay_audit r;
	size_t i;

	for (i = 0; what->reason[i]; i++) /* the kernel's causes are one word */
		cause[i] = what->reason[i] == ' ' ? '_' : what->reason[i];
	cause[i] = '\0';
	audit_begin(d->audit, "uncovered", cause, false, &r);
	assay_audit_set_text(&r, ASSAY_AUDIT_NAME, assay_bytes_str(what->point));
	audit_put(d->audit, &r);
}
