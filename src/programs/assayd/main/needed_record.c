/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/batch.h"
#include "programs/assayd/process/log.h"

#define UNSAID_MAX 64u

/* A record for which there was no list. */
struct needed_unsaid {
	struct needed_unsaid *next;
	enum needed_event event;
	struct needed_about about;
};

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

static int write_record(struct needed_records *r, enum needed_event event,
			const struct needed_about *about)
{
	struct anchor *a = r->daemon->anchor;
	void *ctx = (void *)about;
	struct assay_err err;

	switch (event) {
	case NEEDED_EXEMPT:
		return anchor_state(a, "exempt", fill_exempt, ctx, false, NULL, &err);
	case NEEDED_ENDED:
		return anchor_state(a, "exempt-ended", fill_ended, ctx, false, NULL, &err);
	default:
		return anchor_state(a, "exempt-unseen", fill_unseen, ctx, false, NULL, &err);
	}
}

void needed_records_init(struct needed_records *r, struct daemon *d)
{
	*r = (struct needed_records){ .daemon = d, .last = &r->first };
}

void needed_records_done(struct needed_records *r)
{
	struct needed_unsaid *next;

	for (; r->first; r->first = next) {
		next = r->first->next;
		free(r->first);
	}
}

int needed_record(struct needed_records *r, enum needed_event event, const struct needed_about *a)
{
	struct needed_unsaid *u;

	if (r->daemon->anchor)
		return write_record(r, event, a);
	if (r->n == UNSAID_MAX)
		return -ENOBUFS;
	if (!(u = malloc(sizeof(*u))))
		return -ENOMEM;
	*u = (struct needed_unsaid){ .event = event, .about = *a };
	*r->last = u;
	r->last = &u->next;
	r->n++;
	return 0;
}

void needed_record_rest(struct needed_records *r)
{
	struct needed_unsaid *u;
	int rc;

	while (r->daemon->anchor && (u = r->first)) {
		rc = write_record(r, u->event, &u->about);
		if (rc < 0)
			log_line(LOG_ERR, "what became of %s (process %d) is not in the list: %s",
				 u->about.name, (int)u->about.pid, strerror(-rc));
		if (!(r->first = u->next))
			r->last = &r->first;
		r->n--;
		free(u);
	}
}
