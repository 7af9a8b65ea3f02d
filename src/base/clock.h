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

/* @ns of a clock, as who waits until then wants it. */
struct timespec assay_clock_at(uint64_t ns);
