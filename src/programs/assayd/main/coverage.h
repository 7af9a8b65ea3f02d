/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When the kernel may answer by itself: only if no opener, whoever it is and whatever it asks for,
 * could still add a record for this content. Pure.
 */
#pragma once

#include "engine/core/policy.h"

/* What has been measured of one file in this event, or was in the list already. */
struct coverage {
	struct {
		uint32_t pcr; /* UINT32_MAX: the default */
		struct assay_bytes template;
	} done[4];
	size_t n;
	bool audited; /* its audit record is there, whoever it was made for, as in the kernel */
};

/* Adds what @match had measured. */
void coverage_add(struct coverage *c, const struct assay_match *match);

/* Could anybody, by @hook, cause a record that @c does not have? @facts: of the object; subject and
 * mask are not looked at. */
bool coverage_holds(const struct coverage *c, const struct assay_policy *policy,
		    const struct assay_match_facts *facts, enum assay_hook hook);
