/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an operator must look at, and what is not protected, each a word and a reason. */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/reload.h"

struct health_facts {
	bool anchor_answers;
	struct recorder_counts list;
	uint32_t uncovered; /* filesystems */
	uint32_t missing;   /* processes */
	uint64_t window_ms; /* scout_state */
	uint32_t marked;
	uint64_t marked_window_ms;
	bool search_is_late;
	uint32_t hung, hung_processes;
	uint64_t gap_age_ns; /* since something went unmeasured; UINT64_MAX: nothing has */
	struct reload_state reload;
};

/* Worst first. NULL: out of memory. */
json_t *health_json(struct daemon *d, const struct health_facts *f);
json_t *health_not_protected(struct daemon *d, const struct health_facts *f);
