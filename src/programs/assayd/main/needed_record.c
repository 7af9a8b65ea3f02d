/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed_record.h"

#include "formats/batch.h"
#include "programs/assayd/main/needed.h"

static void fill_unseen(void *ctx, struct assay_wr *w)
{
	const struct needed_about *a = ctx;

	assay_state_add(w, "kind", assay_bytes_str(a->name));
	assay_state_add_u64(w, "pid", (uint64_t)a->pid);
}

static void fill_ended(void *ctx, struct assay_wr *w)
{
	const struct needed_about *a = ctx;

	fill_unseen(ctx, w);
	assay_state_add(w, "path", assay_bytes_str(a->path));
}

static void fill_exempt(void *ctx, struct assay_wr *w)
{
	const struct needed_about *a = ctx;

	fill_ended(ctx, w);
	assay_state_add(w, "alg", assay_bytes_str(assay_hash_name(a->digest.alg)));
	assay_state_add_hex(w, "digest", assay_digest_bytes(&a->digest));
}

static void take_failed(void *ctx, uint64_t about, int error)
{
	needed_unrecorded(ctx, (pid_t)about, error);
}

/* Nobody is exempt without a record, and for that of an exemption there is room or it is tried
 * again; the others are counted by kind if there is none. */
int needed_record(struct needed *n, struct daemon *d, enum needed_event event,
		  const struct needed_about *a)
{
	static const struct {
		const char *event;
		void (*fill)(void *ctx, struct assay_wr *w);
	} events[] = {
		[NEEDED_EXEMPT] = { .event = "exempt", .fill = fill_exempt },
		[NEEDED_ENDED] = { .event = "exempt-ended", .fill = fill_ended },
		[NEEDED_UNSEEN] = { .event = "exempt-unseen", .fill = fill_unseen },
	};
	bool exempts = event == NEEDED_EXEMPT;

	return records_put(d->records, &(struct record){ .event = events[event].event,
							 .fill = events[event].fill,
							 .ctx = (void *)a,
							 .count = exempts ? 0 : 1,
							 .key = exempts ? NULL : "kind",
							 .value = exempts ? NULL : a->name,
							 .failed = exempts ? take_failed : NULL,
							 .failed_ctx = n,
							 .about = (uint64_t)a->pid });
}
