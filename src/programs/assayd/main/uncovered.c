/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/uncovered.h"

#include <errno.h>
#include <string.h>

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

static void put(struct daemon *d, void (*fill)(void *ctx, struct assay_wr *w), void *ctx,
		const char *type, uint64_t count)
{
	const struct record what = { .event = "uncovered",
				     .fill = fill,
				     .ctx = ctx,
				     .count = count,
				     .key = "type",
				     .value = type };
	int r = records_put(d->records, &what);

	if (r == -E2BIG || r == -ENOBUFS)
		log_line(LOG_ERR, "cannot record what is not watched: %s", strerror(-r));
}

void uncovered_tell(struct tally *t, struct daemon *d, struct mounts_uncovered *what)
{
	if (!tally_add(t, what->type, assay_clock_ns()))
		return;
	log_line(LOG_NOTICE, "not watched: %s (%s): %s", what->point, what->type, what->reason);
	audit_uncovered(d, what);
	put(d, fill_uncovered, what, what->type, 1);
}

static void fill_counted(void *ctx, struct assay_wr *w)
{
	const struct tally_kind *k = ctx;

	assay_state_add(w, "type", assay_bytes_str(k->name));
	assay_state_add_u64(w, "count", k->counted);
}

void uncovered_record_counts(struct tally *t, struct daemon *d, bool all)
{
	uint64_t now = all ? UINT64_MAX : assay_clock_ns();
	struct tally_kind k;

	while (records_have_room(d->records) && tally_take(t, now, &k)) {
		log_line(LOG_NOTICE, "not watched: %llu more filesystems (%s)",
			 (unsigned long long)k.counted, k.name);
		put(d, fill_counted, &k, k.name, k.counted);
	}
}
