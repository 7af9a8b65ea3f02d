/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/uncovered.h"

#include "base/clock.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/main/daemon.h"
#include "programs/assayd/process/log.h"

static void fill_uncovered(void *ctx, struct assay_wr *w)
{
	const struct mounts_uncovered *what = ctx;

	assay_state_add(w, "type", assay_bytes_str(what->type));
	assay_state_add(w, "point", assay_bytes_str(what->point));
	assay_state_add(w, "reason", assay_bytes_str(what->reason));
}

void uncovered_tell(struct tally *t, struct daemon *d, struct mounts_uncovered *what)
{
	struct assay_err err;

	if (!tally_add(t, what->type, assay_clock_ns()))
		return;
	log_line(LOG_NOTICE, "not watched: %s (%s): %s", what->point, what->type, what->reason);
	audit_uncovered(d, what);
	if (anchor_state(d->anchor, "uncovered", fill_uncovered, what, false, NULL, &err) < 0)
		log_line(LOG_ERR, "cannot record that %s is not watched: %s", what->point,
			 err.text);
}

static void fill_counted(void *ctx, struct assay_wr *w)
{
	const struct tally_kind *k = ctx;

	assay_state_add(w, "type", assay_bytes_str(k->name));
	assay_state_add_u64(w, "count", k->counted);
}

void uncovered_record_counts(struct tally *t, struct anchor *a, bool all)
{
	uint64_t now = all ? UINT64_MAX : assay_clock_ns();
	struct tally_kind k;
	struct assay_err err;

	while (tally_take(t, now, &k)) {
		log_line(LOG_NOTICE, "not watched: %llu more filesystems (%s)",
			 (unsigned long long)k.counted, k.name);
		if (anchor_state(a, "uncovered", fill_counted, &k, false, NULL, &err) < 0)
			log_line(LOG_ERR, "cannot record what is not watched: %s", err.text);
	}
}
