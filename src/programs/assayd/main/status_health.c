/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/status_health.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/status.h"
#include "programs/assayd/peek/peek.h"

#define GAP_AGE_NS (3600 * 1000000000ull) /* a gap that is older was seen, or never will be */

/* @reason is text of ours, but for what status_text() makes good. */
static void add(json_t *list, const char *what, const char *fmt, ...) ASSAY_PRINTF(3, 4);
static void add(json_t *list, const char *what, const char *fmt, ...)
{
	char reason[sizeof(((struct reload_state *)0)->reason)];
	va_list ap;

	va_start(ap, fmt);
	assay_fmt_v(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	json_array_append_new(list,
			      json_pack("{s:s, s:o}", "what", what, "reason", status_text(reason)));
}

/* ---- what must be looked at ----------------------------------------------------------------- */

static void add_anchor_troubles(json_t *list, const struct health_facts *f)
{
	if (!f->anchor_answers)
		add(list, "anchor_gone", "the process that keeps list and TPM does not answer");
	if (f->list.tpm_lost)
		add(list, "tpm_lost", "the TPM does not answer: nothing is anchored");
	if (f->list.list_full)
		add(list, "list_full", "the list cannot grow: nothing is measured");
}

static void add_search_troubles(json_t *list, const struct health_facts *f)
{
	if (f->search_is_late)
		add(list, "search_late",
		    "what was mounted in other mount namespaces in the last %llu ms may be unseen",
		    (unsigned long long)f->window_ms);
	if (f->hung_processes)
		add(list, "search_skips",
		    "%u processes keep who looks at them waiting: mount namespaces that only they "
		    "are in are not searched",
		    f->hung_processes);
}

static void add_thread_troubles(json_t *list, struct daemon *d)
{
	uint64_t turns, now = assay_clock_ns();

	if (loop_is_turning(d->loop, &turns) && pulse_is_stuck(&d->loop_pulse, turns, now))
		add(list, "loop_stuck", "what answers openers stands still: all of them wait");
	turns = atomic_load(&d->reader_turns.n);
	if (atomic_load(&d->reader_turns.turning) && pulse_is_stuck(&d->reader_pulse, turns, now))
		add(list, "reader_stuck", "what reads events stands still: who opens waits");
}

json_t *health_json(struct daemon *d, const struct health_facts *f)
{
	json_t *list = json_array();

	if (!list)
		return NULL;
	add_thread_troubles(list, d);
	add_anchor_troubles(list, f);
	if (f->gap_age_ns < GAP_AGE_NS)
		add(list, "unmeasured", "within the last hour somebody went on unmeasured");
	if (f->missing)
		add(list, "process_missing", "%u of the daemon's processes have ended", f->missing);
	if (d->totals.stuck_workers)
		add(list, "workers_stuck",
		    "%u processes were killed and do not end: a disk or server does not answer",
		    d->totals.stuck_workers);
	if (d->peek && peek_is_blind(d->peek))
		add(list, "openers_unseen",
		    "nobody can look at who opens: all is measured that would be for anybody");
	if (needed_unseen(d->needed))
		add(list, "exempt_unseen",
		    "%u processes that are to be exempt cannot be looked at: what they run is not "
		    "known",
		    needed_unseen(d->needed));
	add_search_troubles(list, f);
	if (f->reload.refused != RELOAD_FINE)
		add(list, reload_refused_name(f->reload.refused), "%s", f->reload.reason);
	if (control_lacks_public(d->control))
		add(list, "public_socket", "the public socket could not be made");
	return json_pack("{s:b, s:o}", "ok", json_array_size(list) == 0, "troubles", list);
}

/* ---- what is not protected ------------------------------------------------------------------ */

static void add_coverage(json_t *list, const struct daemon *d, const struct health_facts *f)
{
	if (f->uncovered)
		add(list, "uncovered", "%u filesystems that the policy can match are not watched",
		    f->uncovered);
	if (d->conf.mount.n)
		add(list, "chosen_mounts", "only what 'mount' names is watched");
	if (f->hung)
		add(list, "hung_mounts",
		    "%u places in other mount namespaces did not answer and are left out", f->hung);
	if (late_unmeasured(d->late))
		add(list, "late_unmeasured",
		    "%llu files, or processes, that ran before they were watched could not be "
		    "looked at",
		    (unsigned long long)late_unmeasured(d->late));
	if (late_fails(d->late))
		add(list, "late_failed",
		    "what ran before it was watched could not be looked at: it is tried again");
	if (needed_count(d->needed))
		add(list, "exempt_processes",
		    "%u processes open what they like, and are measured afterwards",
		    needed_count(d->needed));
	if (needed_unmeasured(d->needed))
		add(list, "exempt_unmeasured",
		    "%llu files that they opened were too many or too large",
		    (unsigned long long)needed_unmeasured(d->needed));
	if (d->scout && f->marked)
		add(list, "mount_window",
		    "what is mounted in another mount namespace may go unseen for %llu ms; in %u "
		    "that are known for %llu ms",
		    (unsigned long long)f->window_ms, f->marked,
		    (unsigned long long)f->marked_window_ms);
	else if (d->scout)
		add(list, "mount_window",
		    "what is mounted in another mount namespace may go unseen for %llu ms",
		    (unsigned long long)f->window_ms);
}

static void add_anchor(json_t *list, const struct assay_conf *c)
{
	if (c->anchor == ASSAY_CONF_ANCHOR_NONE)
		add(list, "no_anchor", "nothing proves the list");
	if (c->anchor == ASSAY_CONF_ANCHOR_SOFT)
		add(list, "soft_anchor", "who can write its file can forge the list");
	if (c->anchor_mode == ASSAY_CONF_MODE_ORDERED)
		add(list, "ordered", "openers go on before the extend: not for hostile code");
	if (c->on_tpm_loss == ASSAY_CONF_LOSS_RELEASE)
		add(list, "tpm_loss_releases", "without the TPM openers go on all the same");
	if (c->list_sync == ASSAY_CONF_SYNC_NEVER)
		add(list, "list_not_synced", "a crash of the machine may cost the list's end");
	if (c->anchor == ASSAY_CONF_ANCHOR_TPM2 && c->tpm_session == ASSAY_CONF_SESSION_NONE)
		add(list, "tpm_bus", "what goes over the TPM's bus is not authenticated");
}

static void add_answers(json_t *list, const struct daemon *d)
{
	const struct assay_conf *c = &d->conf;

	if (d->cmdline.order == CMDLINE_LOG && d->cmdline.obeyed)
		add(list, "cmdline", "'assay=log' on the kernel's command line: nothing is denied");
	if (c->deadline_ms && c->deadline_answer == ASSAY_CONF_ANSWER_ALLOW)
		add(list, "deadline_allows", "who has waited %u ms goes on unmeasured",
		    c->deadline_ms);
	add(list, "measure_only", "no file is refused for its content: this version measures");
}

static void add_kernel(json_t *list, const struct daemon *d)
{
	add(list, "no_bpf", "stores through a shared mapping of a known file are not seen");
	if (!anchor_has_landlock(d->anchor))
		add(list, "no_landlock", "the daemon's processes keep paths, by file modes alone");
	if (!assay_fanotify_has_evictable(d->group))
		add(list, "no_evictable_marks", "known files stay in the kernel's memory");
}

json_t *health_not_protected(struct daemon *d, const struct health_facts *f)
{
	json_t *list = json_array();

	if (!list)
		return NULL;
	add_coverage(list, d, f);
	add_anchor(list, &d->conf);
	add_answers(list, d);
	add_kernel(list, d);
	return list;
}
