/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What time it is, for deadlines and for how long something took. Needs an operating system: not
 * for the engine's core, which is given its time. */
#pragma once

#include <stdint.h>
#include <time.h>

/* Nanoseconds of @id, which this system has. */
uint64_t assay_clock_read(clockid_t id);

/* CLOCK_MONOTONIC: nobody sets it, and it stands still while the machine sleeps. */
uint64_t assay_clock_ns(void);
uint64_t assay_clock_ms(void);

/* What has passed since *@last, which becomes @now; but @most at once: a time in which the machine,
 * or who asks, stood still is not one in which another one hung. Any unit. */
static inline uint64_t assay_clock_step(uint64_t *last, uint64_t now, uint64_t most)
{
	uint64_t passed = now - *last;

	*last = now;
	return passed < most ? passed : most;
}

/* @ns of a clock, as who waits until then wants it. */
struct timespec assay_clock_at(uint64_t ns);
