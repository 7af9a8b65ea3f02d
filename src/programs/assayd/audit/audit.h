/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where audit records go: into a ring that never waits, from which the journal, the kernel's audit
 * log and whoever asks over the control socket read, each at its own pace. Knows nothing of
 * policies. Thread-safe, but for start and stop.
 */
#pragma once

#include <stdatomic.h>

#include "formats/audit.h"
#include "programs/assayd/audit/audit_limit.h"
#include "programs/assayd/audit/audit_seen.h"

struct audit;

struct audit_config {
	uint32_t rate;	     /* records a second, of a rule for one user; 0: no limit */
	const char *journal; /* socket; NULL: no journal */
	bool kernel_log;
};

/* Errors: -ENOMEM, or of the threads. A sink that is not there is said, and no error. */
int audit_start(const struct audit_config *config, struct audit **ret, struct assay_err *err);
/* What is in the ring still goes out, if that takes no longer than two seconds. NULL allowed. */
void audit_stop(struct audit *a);
void audit_free(struct audit *a); /* stopped; NULL allowed */

/* Gives it time and number. */
void audit_put(struct audit *a, struct assay_audit *r);

/* A record of the daemon itself: @op and @cause are words, @ok the kernel's res. The caller adds
 * what it has to say, and puts it. */
void audit_begin(const struct audit *a, const char *op, const char *cause, bool ok,
		 struct assay_audit *ret);

enum audit_admission {
	AUDIT_KNOWN,   /* this content of this file has its record */
	AUDIT_LIMITED, /* counted, and told later */
	AUDIT_ADMITTED,
};
enum audit_admission audit_admit(struct audit *a, const struct audit_seen_entry *e, uint32_t rule,
				 uint32_t uid);
/* A record about a file, and what is known from then on. */
void audit_put_file(struct audit *a, struct assay_audit *r, const struct audit_seen_entry *e);

/* From now on. */
void audit_set_rate(struct audit *a, uint32_t rate);

/* From time to time: tells what was limited; @all: whatever its time. */
void audit_tick(struct audit *a, bool all);

/*
 * The line at *@cursor (numbers from 1 on; 0: the oldest) or the first one after it that is still
 * there: copied to @line, and *@cursor moved on behind it. *@missed grows by those that are gone.
 * Returns its length, 0: there is none yet, or it is longer than @size (*@cursor stays then).
 */
size_t audit_read(struct audit *a, uint64_t *cursor, uint64_t *missed, char *line, size_t size);
/* The same for a sink: blocks until there is one; 0: it is time to stop, or nothing is left. */
size_t audit_wait(struct audit *a, uint64_t *cursor, uint64_t *missed, char *line, size_t size);

/* Tells one run from another, whose numbers are others. */
uint64_t audit_run(const struct audit *a);

enum audit_sink_kind { AUDIT_SINK_JOURNAL, AUDIT_SINK_KERNEL, AUDIT_SINK_COUNT };
const char *audit_sink_name(enum audit_sink_kind kind);

struct audit_counts {
	uint64_t records, limited;
	uint64_t sent[AUDIT_SINK_COUNT], lost[AUDIT_SINK_COUNT];
};
void audit_counts(struct audit *a, struct audit_counts *ret);

struct audit_loss {
	enum audit_sink_kind sink;
	uint64_t count;
};
/* What some sink has lost since it was asked last, for the list. False: no more. One thread. */
bool audit_next_loss(struct audit *a, struct audit_loss *ret);
