/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/reload.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/policy_change.h"
#include "programs/assayd/main/status.h"

/* Keys that count from the moment on; all others are read at the start alone. */
static const char *const live_keys[] = { "policy",	    "first_sight", "deadline_ms",
					 "deadline_answer", "too_large",   "audit_rate" };

struct reload {
	pthread_mutex_t lock;
	struct reload_state state;
	struct assay_conf next, effective; /* of one reload, which are too big for a stack */
	bool waits;			   /* for its policy to be in the list */
};

/* What a reload is about, for the record of it. */
struct refusal {
	const char *name; /* of the file or the policy */
	uint32_t line;	  /* 0: none */
};

const char *reload_refused_name(enum reload_refused refused)
{
	static const char *const names[] = { "", "conf_refused", "policy_refused" };

	return names[refused];
}

int reload_open(struct daemon *d, struct assay_err *err)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (!r)
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&r->lock, NULL);
	d->reload = r;
	return 0;
}

void reload_free(struct reload *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void reload_get_state(struct reload *r, struct reload_state *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->state;
	pthread_mutex_unlock(&r->lock);
}

static void set_refused(struct reload *r, enum reload_refused refused, const char *reason)
{
	pthread_mutex_lock(&r->lock);
	r->state.refused = refused;
	assay_fmt(r->state.reason, sizeof(r->state.reason), "%s", reason);
	pthread_mutex_unlock(&r->lock);
}

static void set_needs_restart(struct reload *r, uint64_t keys)
{
	pthread_mutex_lock(&r->lock);
	r->state.needs_restart = keys;
	pthread_mutex_unlock(&r->lock);
}

json_t *reload_keys_json(uint64_t keys)
{
	json_t *list = json_array();
	const char *key;

	for (unsigned i = 0; list && (key = assay_conf_key(i)); i++)
		if (keys & 1ull << i)
			json_array_append_new(list, json_string(key));
	return list;
}

static uint64_t live_bits(void)
{
	uint64_t bits = 0;
	const char *key;

	for (unsigned i = 0; (key = assay_conf_key(i)); i++)
		for (size_t l = 0; l < ARRAY_LEN(live_keys); l++)
			if (strcmp(key, live_keys[l]) == 0)
				bits |= 1ull << i;
	return bits;
}

/* ---- what came of it ------------------------------------------------------------------------ */

static json_t *result_json(struct daemon *d, uint64_t changed)
{
	const struct loaded_policy *p = atomic_load(&d->policy);
	struct reload_state state;
	json_t *result;

	reload_get_state(d->reload, &state);
	result = json_pack("{s:b, s:o, s:o, s:o}", "in_force", state.refused == RELOAD_FINE,
			   "policy", status_policy(p), "changed", reload_keys_json(changed),
			   "needs_restart", reload_keys_json(state.needs_restart));
	if (result && state.refused != RELOAD_FINE)
		json_object_set_new(result, "refused",
				    json_pack("{s:s, s:o}", "what",
					      reload_refused_name(state.refused), "reason",
					      status_text(state.reason)));
	return result;
}

static void fill_refused(void *ctx, struct assay_wr *w)
{
	const struct refusal *what = ctx;

	assay_state_add(w, "name", assay_bytes_str(what->name));
	if (what->line)
		assay_state_add_u64(w, "line", what->line);
}

static void refuse_conf(struct daemon *d, const struct assay_err *why)
{
	struct refusal what = { .name = d->conf_path ? d->conf_path : "options",
				.line = why->line };

	log_line(LOG_ERR, "the old configuration stays in force: %s", why->text);
	set_refused(d->reload, RELOAD_CONF, why->text);
	daemon_record_gap(d, "conf_refused", fill_refused, &what);
}

void reload_note_policy(struct reload *r, const char *why)
{
	struct reload_state state;

	reload_get_state(r, &state);
	if (why)
		set_refused(r, RELOAD_POLICY, why);
	else if (state.refused == RELOAD_POLICY)
		set_refused(r, RELOAD_FINE, "");
}

/* ---- what is new ---------------------------------------------------------------------------- */

/* Those of others are numbers, which are read whole. */
static void take_keys(struct daemon *d, uint64_t keys)
{
	struct reload *r = d->reload;
	const char *key;

	for (unsigned i = 0; (key = assay_conf_key(i)); i++) {
		if (!(keys & 1ull << i))
			continue;
		assay_conf_copy(&d->conf, &r->effective, key);
		assay_conf_copy(&d->given, &r->next, key);
		log_line(LOG_NOTICE, "'%s' is as the configuration says now", key);
	}
	deadline_set(&d->deadline, &d->conf);
	audit_set_rate(d->audit, d->conf.audit_rate);
	loop_wake(d->loop); /* it may sleep until the deadline of before */
}

static void warn_restart(uint64_t keys)
{
	const char *key;

	for (unsigned i = 0; (key = assay_conf_key(i)); i++)
		if (keys & 1ull << i)
			log_line(LOG_WARNING, "the new '%s' counts after a restart only", key);
}

/* All that may change. */
static uint64_t take(struct daemon *d)
{
	struct reload *r = d->reload;
	uint64_t differ = assay_conf_differ(&d->given, &r->next), live = differ & live_bits();

	take_keys(d, live);
	if (live)
		daemon_forget_verdicts(d); /* first_sight: those of the moment between */
	warn_restart(differ & ~live);
	set_refused(r, RELOAD_FINE, "");
	set_needs_restart(r, differ & ~live);
	return live;
}

/* First the policy: without that nothing changes. */
static uint64_t try(struct daemon *d)
{
	struct reload *r = d->reload;
	const struct loaded_policy *policy = NULL;
	struct assay_err err = { 0 };
	int rc;

	r->effective = r->next;
	cmdline_apply(&d->cmdline, &r->effective);
	rc = policy_load(&d->fetch, r->next.policy, &d->crypto, &d->core, &policy, &err);
	if (rc < 0)
		d->blame("policy", &err);
	rc = policy_change_take(d, r->next.policy, policy, rc, &err);
	r->waits = rc == -EINPROGRESS;
	return rc < 0 ? 0 : take(d);
}

void reload_end(struct daemon *d, int r)
{
	bool waits = d->reload->waits;

	d->reload->waits = false;
	if (waits && r == 0)
		(void)take(d);
}

json_t *reload_now(struct daemon *d)
{
	struct assay_err err = { 0 };
	uint64_t changed = 0;

	notify_manager("RELOADING=1\nMONOTONIC_USEC=%llu",
		       (unsigned long long)assay_clock_ns() / 1000u);
	if (d->reload->waits)
		log_line(LOG_WARNING, "the list has not taken the policy of the reload before: "
				      "nothing is read again until it has");
	else if (d->read_conf(&d->fetch, &d->reload->next, &err) == 0)
		changed = try(d);
	else
		refuse_conf(d, &err);
	notify_manager("READY=1");
	return result_json(d, changed);
}
