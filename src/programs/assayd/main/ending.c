/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How it ends: nobody is left waiting, the list has all that there is to say, or it is left as a
 * crash would leave it: one that stalls is not waited for. */
#include <unistd.h>

#include "base/clock.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/reader.h"
#include "programs/assayd/main/reload.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/main/scout.h"
#include "programs/assayd/main/takeover.h"
#include "programs/assayd/peek/peek.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/programs.h"
#include "programs/assayd/view/view_link.h"

#define LAST_RECORDS_MS 10000	       /* for those that wait, and once more for those of the end */
#define LAST_ANCHOR_NS	25000000000ull /* until list and TPM are closed */

/* ---- what is left to say --------------------------------------------------------------------- */

static void fill_audit_lost(void *ctx, struct assay_wr *w)
{
	const struct audit_loss *loss = ctx;

	assay_state_add(w, "sink", assay_bytes_str(audit_sink_name(loss->sink)));
	assay_state_add_u64(w, "count", loss->count);
}

void daemon_record_audit_lost(struct daemon *d)
{
	struct audit_loss loss;

	audit_tick(d->audit, false);
	while (records_have_room(d->records) && audit_next_loss(d->audit, &loss))
		daemon_record_gap(d, "audit_lost", fill_audit_lost, &loss);
}

void daemon_record_all(struct running *r)
{
	struct daemon *d = r->daemon;

	gaps_record(&r->gaps, d, true);
	if (d->mounts)
		mounts_record_counts(d->mounts, true);
	late_record(d->late, true);
	if (d->audit)
		daemon_record_audit_lost(d);
}

/* False: the list takes no records. What it has not got is lost as if we had been killed, and the
 * next start says so. Audit records come of what is told all the same. */
static bool write_last(struct running *r)
{
	struct daemon *d = r->daemon;
	bool written = records_drain(d->records, LAST_RECORDS_MS); /* there is room, then */

	daemon_record_all(r);
	audit_stop(d->audit);
	if (d->audit)
		daemon_record_audit_lost(d);
	written = written && records_drain(d->records, LAST_RECORDS_MS);
	if (!written)
		log_line(LOG_ERR, "the list takes no records: %u are lost, and it is not closed",
			 records_waiting(d->records));
	return written;
}

static void leave_list(struct daemon *d)
{
	if (d->anchor)
		anchor_cut(d->anchor);
	records_free(TAKE(d->records));
	anchor_free(TAKE(d->anchor));
}

static bool wait_for_anchor(void *ctx)
{
	const uint64_t *end_ns = ctx;

	return assay_clock_ns() < *end_ns;
}

/* All that is known is in the list, and that is closed; or it is left as it is. */
static void close_list(struct running *r, const char *why)
{
	struct daemon *d = r->daemon;
	bool written = write_last(r);
	uint64_t end_ns;

	if (!written) {
		leave_list(d);
		return;
	}
	records_free(TAKE(d->records));
	end_ns = assay_clock_ns() + LAST_ANCHOR_NS;
	anchor_stop(TAKE(d->anchor), why,
		    &(struct anchor_wait){ .wait = wait_for_anchor, .ctx = &end_ns });
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Whoever has not taken over yet leaves no record: it was never this one's turn. */
static bool has_turn(const struct daemon *d)
{
	return d->anchor && d->loop && !loop_has_failed(d->loop) &&
	       (!d->takeover || takeover_is_done(d->takeover));
}

void daemon_stop(struct running *r, const char *why)
{
	struct daemon *d = r->daemon;
	bool can_record = has_turn(d);

	if (can_record)
		anchor_ending(d->anchor);
	control_stop(r->control);
	late_end(d->late);
	view_link_free(d->view);
	/* The reader last: what the anchor opens still has to be let through. */
	loop_close(d->loop);
	reader_stop(r->reader);
	loop_end(d->loop);
	assay_fanotify_close(d->group);
	if (can_record)
		close_list(r, why);
	else
		leave_list(d);
	audit_stop(d->audit);
	needed_free(d->needed);
	assay_fanotify_free(d->group);
	peek_free(d->peek);
	handover_free(d->handover);
	spawner_free(d->spawner);
	programs_free(d->programs);
	policy_free(atomic_load(&d->policy));
	scout_free(d->scout);
	late_free(d->late);
	mounts_free(d->mounts);
	audit_free(d->audit);
	reload_free(d->reload);
	if (d->loop)
		ledger_done(&d->ledger);
	loop_free(d->loop);
	assay_fs_table_free(d->fs);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
}
