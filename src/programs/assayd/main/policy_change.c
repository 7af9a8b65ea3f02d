/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/policy_change.h"

#include <errno.h>
#include <string.h>

#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/reload.h"
#include "programs/assayd/view/view_link.h"

#define ANCHOR_MS 5000

static void fill_refused(void *ctx, struct assay_wr *w)
{
	assay_state_add(w, "name", assay_bytes_str(ctx));
}

/* One that hangs is not asked for more. */
static bool anchor_answers(struct daemon *d, struct assay_err *err)
{
	struct recorder_counts unused;

	if (anchor_counts_within(d->anchor, ANCHOR_MS, &unused) == 0)
		return true;
	assay_err_set(err, -ETIMEDOUT, "the process with the list does not answer");
	return false;
}

static int refuse(struct daemon *d, const char *name, int r, const struct assay_err *err)
{
	log_line(LOG_ERR, "the old policy stays in force: %s", err->text);
	daemon_record_gap(d, "policy_refused", fill_refused, (void *)(uintptr_t)name);
	audit_policy(d, name, r);
	reload_note_policy(d->reload, err->text);
	return r;
}

/* The list has it. */
static void put_in_force(struct daemon *d, const struct loaded_policy *policy)
{
	struct assay_err err;

	policy_follow(policy, atomic_load(&d->policy));
	atomic_store(&d->policy, policy);
	daemon_forget_verdicts(d);
	log_line(LOG_NOTICE, "policy '%s' is in force", policy->name);
	audit_policy(d, policy->name, 0);
	view_link_policy(d->view, policy->text);
	if (mounts_scan(d->mounts, &err) < 0)
		log_line(LOG_ERR, "%s", err.text);
	reload_note_policy(d->reload, NULL);
}

/* ---- it is in the list before it is in force ------------------------------------------------- */

static int write_policy(void *ctx, struct assay_err *err)
{
	struct daemon *d = ctx;

	return anchor_set_policy(d->anchor, d->next_policy, err);
}

static int end_change(struct daemon *d, int r, struct assay_err *err)
{
	const struct loaded_policy *policy = TAKE(d->next_policy);

	if (r == 0) {
		put_in_force(d, policy);
		return 0;
	}
	r = refuse(d, policy->name, r, err);
	policy_free(policy);
	return r;
}

/* The list was slow to take it, and whoever wanted it was told so. */
static void on_written(void *ctx, int r, struct assay_err *err)
{
	struct daemon *d = ctx;

	reload_end(d, end_change(d, r, err));
}

/* Takes the policy. */
static int change(struct daemon *d, const struct loaded_policy *policy, struct assay_err *err)
{
	const struct records_call call = { .run = write_policy, .done = on_written, .ctx = d };
	int r;

	d->next_policy = policy;
	r = records_run(d->records, &call, ANCHOR_MS, err);
	if (r != -EINPROGRESS)
		return end_change(d, r, err);
	log_line(LOG_WARNING, "policy '%s' is not in force yet: %s", policy->name, err->text);
	reload_note_policy(d->reload, err->text);
	return r;
}

int policy_change_take(struct daemon *d, const char *name, const struct loaded_policy *policy,
		       int r, struct assay_err *err)
{
	if (r == 0 && !anchor_answers(d, err))
		r = -ETIMEDOUT;
	if (r == 0 && d->next_policy)
		r = assay_err_set(err, -EBUSY, "the list has not taken the policy before yet");
	if (r == 0)
		return change(d, policy, err);
	policy_free(policy);
	return refuse(d, name, r, err);
}

/* What root wrote into the view, until the next reload. */
static int on_view_policy(void *ctx, const char *path, struct assay_bytes text)
{
	struct daemon *d = ctx;
	const struct loaded_policy *policy = NULL;
	const char *name = path ? path : "view/policy";
	struct assay_err err = { 0 };
	int r = path ? policy_load(&d->fetch, path, &d->crypto, &d->core, &policy, &err)
		     : policy_load_again(name, false, text, &d->crypto, &d->core, &policy, &err);

	return policy_change_take(d, name, policy, r, &err);
}

void policy_change_start_view(struct daemon *d, int (*admit)(void *ctx, pid_t pid, int pidfd))
{
	const struct loaded_policy *policy = atomic_load(&d->policy);
	const struct view_link_config config = {
		.spawner = d->spawner,
		.folder = d->conf.view_dir,
		.list_dir = d->conf.list_dir,
		.template = d->conf.template,
		.admit = admit,
		.load = on_view_policy,
		.ctx = d,
	};
	struct assay_err err;

	if (!ASSAY_HAS_VIEW || strcmp(d->conf.view_dir, "none") == 0)
		return;
	if (view_link_new(&config, &d->view, &err) < 0)
		log_line(LOG_WARNING, "there is no view: %s", err.text);
	view_link_policy(d->view, policy->text);
}
