/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nothing was handed over, and openers are held back until there is an anchor again. A TPM that
 * hangs just then is waited for as at any other time: each of them has his deadline, which the
 * reader keeps, and whoever ends us does not wait for it.
 */
#include "programs/assayd/main/handover_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/main/alive.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/reader.h"
#include "programs/assayd/main/startup.h"
#include "programs/assayd/process/log.h"

#define AGAIN_MS 1000 /* between two tries */
#define STEP_MS	 100

bool handover_answer_early(struct handover *h, const struct held_event *e)
{
	struct daemon *d = h->r->daemon;
	bool allow = e->event.answered || atomic_load(&d->deadline.allows);

	if (!e->event.answered)
		(void)assay_fanotify_answer(d->group, e->event.fd, allow);
	close(e->event.fd);
	return allow;
}

/* ---- while the anchor is waited for --------------------------------------------------------- */

/* The signal stays where run() takes it from. */
static bool is_asked_to_end(void)
{
	sigset_t set;

	return sigpending(&set) == 0 &&
	       (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

bool handover_wait(void *ctx)
{
	struct handover *h = ctx;
	struct running *r = h->r;
	uint64_t now = assay_clock_ns();

	alive_tell_reader(r->daemon);
	needed_tend(r->daemon->needed, now, 0); /* the TPM's process may be another one by now */
	if (now <= h->due_ns)
		return true;
	if (r->daemon->conf.on_tpm_loss == ASSAY_CONF_LOSS_RELEASE)
		reader_hurry(r->reader);
	return !is_asked_to_end();
}

/* ---- the anchor ----------------------------------------------------------------------------- */

/* Its libraries may be others by now. */
static int start_anchor(struct handover *h, struct assay_err *err)
{
	const struct anchor_wait wait = { .wait = handover_wait, .ctx = h };
	struct daemon *d = h->r->daemon;
	int rc = daemon_start_anchor(d, &wait, err);

	if (rc == 0)
		rc = startup_record_self(d, err);
	if (rc == 0) {
		anchor_started(d->anchor);
		records_resume(d->records);
	} else {
		anchor_free(TAKE(d->anchor));
	}
	return rc;
}

/* A TPM that does not answer, or has no time, may do so yet. With anything else wrong we end, as we
 * would have with the anchor that we had. */
static bool may_pass(int rc)
{
	return rc == -ETIMEDOUT || rc == -EIO || rc == -ENODEV || rc == -EAGAIN;
}

/* False: it does not come to that. */
static bool pause_before_next(struct handover *h)
{
	for (int waited = 0; waited < AGAIN_MS; waited += STEP_MS) {
		if (is_asked_to_end() || !handover_wait(h))
			return false;
		poll(NULL, 0, STEP_MS);
	}
	return true;
}

static int await_anchor(struct handover *h, struct assay_err *err)
{
	char said[sizeof(err->text)] = "";
	int rc;

	h->due_ns = assay_clock_ns() + HANDOVER_ANSWER_MS * 1000000ull;
	while ((rc = start_anchor(h, err)) < 0 && may_pass(rc)) {
		if (strcmp(said, err->text) != 0)
			log_line(LOG_ERR,
				 "the anchor does not come back, and whoever opens waits for it as "
				 "configured: %s",
				 err->text);
		memcpy(said, err->text, sizeof(said));
		if (!pause_before_next(h)) {
			rc = -ECANCELED;
			break;
		}
	}
	if (rc != -ECANCELED)
		return rc;
	log_line(LOG_WARNING, "asked to end before the anchor was back: who still waits is let go");
	return assay_err_set(err, -EINTR, "asked to end");
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Who was held back is worked on again. */
static int release(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	struct daemon *d = r->daemon;
	struct held_event e;
	int rc = loop_start(d->loop, anchor_socket(d->anchor), err);

	if (rc < 0)
		return rc;
	reader_stop(r->reader);
	r->reader = NULL;
	atomic_store(&d->arrivals.spill, NULL);
	rc = daemon_start_reader(r, NULL, err);
	while (held_take(&h->held, UINT64_MAX, &e))
		if (!arrivals_put_since(&d->arrivals, &e.event, e.arrived_ns))
			ledger_add(&d->ledger, LEDGER_FULL, handover_answer_early(h, &e), NULL, 0,
				   0);
	return rc;
}

int handover_go_back(struct handover *h, struct assay_err *err)
{
	struct running *r = h->r;
	int rc = 0;

	if (!r->reader)
		rc = daemon_start_reader(r, &h->held, err);
	if (rc == 0 && !r->daemon->anchor)
		rc = await_anchor(h, err);
	if (rc == 0)
		rc = release(h, err);
	if (rc == 0)
		control_resume(r->control);
	h->held_back = false;
	return rc;
}
