/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the scout finds in other mount namespaces goes to the table of mounts. */
#include <poll.h>

#include "base/clock.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/main/scout.h"

#define FIRST_PASS_NS 5000000000ull
#define POLL_MS	      100
#define STEP_NS	      200000000ull

static void on_found(void *ctx, const struct scout_mount *m, int fd, const char *reason)
{
	struct daemon *d = ctx;

	mounts_found_elsewhere(d->mounts, m, fd, reason);
}

static void on_pass_done(void *ctx)
{
	struct daemon *d = ctx;

	mounts_end_elsewhere(d->mounts);
}

/* The first passes are waited for: what runs now is looked at when its filesystems are marked. */
int daemon_search_elsewhere(struct daemon *d, struct assay_err *err)
{
	static const struct scout_ops ops = { .found = on_found, .done = on_pass_done };
	uint64_t passed_ns = 0, last = assay_clock_ns();
	int r;

	if (d->conf.mount.n)
		return 0;
	r = scout_new(d->spawner, &ops, d, &d->scout, err);
	if (r < 0)
		return r;
	do {
		struct pollfd p = { .events = POLLIN };
		uint64_t now = assay_clock_ns();

		/* A machine that stands still, or has no time for us, has none for the scout. */
		passed_ns += assay_clock_step(&last, now, STEP_NS);
		scout_hurry(d->scout);
		scout_tick(d->scout, now);
		p.fd = scout_fd(d->scout);
		poll(&p, 1, POLL_MS);
		scout_receive(d->scout);
	} while ((scout_is_looking(d->scout) || mounts_are_undecided(d->mounts)) &&
		 passed_ns < FIRST_PASS_NS);
	return 0;
}

int daemon_tend_elsewhere(struct daemon *d, bool mounted, int ms)
{
	if (!d->scout)
		return ms;
	if (mounted)
		scout_wake(d->scout, assay_clock_ns());
	scout_receive(d->scout);
	scout_tick(d->scout, assay_clock_ns());
	return scout_pause(d->scout, assay_clock_ns(), ms);
}
