/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#define NS_PER_S 1000000000u

uint64_t assay_clock_read(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t assay_clock_ns(void)
{
	return assay_clock_read(CLOCK_MONOTONIC);
}

uint64_t assay_clock_ms(void)
{
	return assay_clock_ns() / 1000000u;
}

struct timespec assay_clock_at(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S),
				  .tv_nsec = (long)(ns % NS_PER_S) };
}
