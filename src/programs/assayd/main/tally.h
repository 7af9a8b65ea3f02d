/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which events of a kind get a record each, and which are only counted: what somebody without
 * rights can bring about in a loop must not fill the list. Nothing is lost: the count gets a record
 * when its time is over. Pure; for one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_KINDS	  32u
#define TALLY_KIND_MAX	  32u /* bytes of a kind's name, NUL included; longer ones are cut */
#define TALLY_SHOWN	  32u /* records of a kind in one interval */
#define TALLY_INTERVAL_NS (3600 * 1000000000ull)

struct tally_kind {
	char name[TALLY_KIND_MAX];
	uint64_t began_ns; /* when the first of this interval came; shown 0: none did */
	uint32_t shown;
	uint64_t counted;
};

struct tally {
	struct tally_kind kind[TALLY_KINDS]; /* the last one stands for all that find no room */
	size_t n;
};

/* One more of @name: true if it gets a record of its own. */
bool tally_add(struct tally *t, const char *name, uint64_t now_ns);

/* A kind whose interval is over (@now_ns UINT64_MAX: any), with what was only counted in it: true,
 * and the caller records that. False: no more. */
bool tally_take(struct tally *t, uint64_t now_ns, struct tally_kind *ret);
