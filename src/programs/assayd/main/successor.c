/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/successor.h"

#include <errno.h>

#include "base/clock.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/policy_change.h"
#include "programs/assayd/main/startup.h"
#include "programs/assayd/main/takeover.h"

static void fill_takeover(void *ctx, struct assay_wr *w)
{
	const struct handover_group *g = ctx;

	assay_state_add_u64(w, "waiting", g->events);
	assay_state_add_u64(w, "held_ms", (assay_clock_ns() - g->held_ns) / 1000000u);
	assay_state_add_u64(w, "lost", g->lost);
}

/* From the first thing that only one can have until nobody else has any of it. */
static int take_all(struct running *r, struct handover_group *g, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	struct held held = { 0 };
	struct held_event e;
	int rc = takeover_take_list(d->takeover, err);

	if (rc == 0)
		rc = daemon_start_anchor(d, NULL, err);
	if (rc == 0)
		rc = needed_new(d, &d->needed, err);
	if (rc == 0)
		rc = startup_record_self(d, err);
	if (rc == 0)
		rc = loop_start(d->loop, anchor_socket(d->anchor), err);
	if (rc == 0 && held_init(&held, HANDOVER_EVENTS_MAX) < 0)
		rc = assay_err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = takeover_take_group(d->takeover, d->group, &held, g, err);
	if (rc == 0)
		rc = daemon_start_reader(r, NULL, err);
	while (rc == 0 && held_take(&held, UINT64_MAX, &e))
		if (!arrivals_put_since(&d->arrivals, &e.event, e.arrived_ns))
			rc = assay_err_set(err, -ENOMEM, "out of memory");
	held_done(&held);
	return rc;
}

/* What is marked stays so; what was known to be measured is asked for again. */
int successor_start(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	struct handover_group g;
	int rc = daemon_lock_memory(d, err);

	if (rc == 0)
		rc = staff_start(&r->staff, d, err);
	if (rc == 0)
		rc = daemon_start_peek(r, err);
	if (rc == 0)
		rc = mounts_new(d, &d->mounts, err);
	if (rc == 0)
		rc = take_all(r, &g, err);
	if (rc < 0)
		return rc;
	daemon_record_gap(d, "takeover", fill_takeover, &g);
	notify_manager("WATCHDOG=1");
	daemon_forget_verdicts(d);
	audit_policy(d, atomic_load(&d->policy)->name, 0);
	rc = mounts_scan(d->mounts, err);
	notify_manager("WATCHDOG=1");
	if (rc == 0)
		rc = daemon_search_elsewhere(d, err);
	notify_manager("WATCHDOG=1");
	takeover_await_end(d->takeover);
	notify_manager("WATCHDOG=1");
	policy_change_start_view(d, daemon_admit);
	startup_wait_for_view(d);
	if (rc == 0 && d->view) /* which maps more than the others */
		rc = startup_record_self(d, err);
	if (rc == 0)
		rc = late_new(d, &d->late, err);
	late_want_all(d->late); /* what was still to be looked at, and what is marked since */
	if (rc == 0)
		rc = handover_new(r, g.past, &d->handover, err);
	if (rc == 0)
		rc = control_start(d, r->wake_fd, &r->control, err);
	return rc;
}
